"""Stored fits with impossible numbers are refused in one line that names the number, by every function that loads."""

import json
import math
import re
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

import regression
from regression import Fit, PolynomialRegression, UsageError
from tests.support.command import ROOT, Command

FIELDS: list[tuple[str, Any, str]] = [
    ("nobs", 0, "nobs must be a whole number of at least 1, got 0"),
    ("nobs", 12.0, "nobs must be a whole number of at least 1, got 12.0"),
    ("df_resid", -1, "df_resid must be a whole number of at least 0, got -1"),
    ("df_resid", 7, "df_resid must be nobs - rank = 9, got 7"),
    ("omitted", -1, "omitted must be a whole number of at least 0, got -1"),
    ("updates", "many", "updates must be a whole number of at least 0, got 'many'"),
    ("degree", True, "degree must be a whole number of at least 0, got True"),
    ("sigma", -0.5, "sigma must be a finite number of at least 0, or null, got -0.5"),
    ("sigma", math.inf, "sigma must be a finite number of at least 0, or null, got inf"),
    ("ssr", math.nan, "ssr must be a finite number of at least 0, or null, got nan"),
    ("rsquared", 10**400, "rsquared must be a finite number, or null, got 1000"),
    ("level", 1.0, "level must be between 0 and 1, got 1.0"),
    ("x_range", [3.0, 1.0], "x_range must be two finite numbers, the smaller one first, got [3.0, 1.0]"),
    ("domain", [1.0], "domain must be two finite numbers, the smaller one first, or null, got [1.0]"),
    ("params", [1.0, 2.0], "params must be a list of 3, each a finite number, or null, got [1.0, 2.0]"),
    ("bse", [1.0, 2.0, -3.0], "bse must be a list of 3, each a finite number of at least 0, or null"),
    ("cov_params", [[1.0]], "cov_params must be a list of 3, each a list of 3"),
    ("converged", 1, "converged must be true or false, or null, got 1"),
    ("names", "abc", "names must be a list, each a text, got 'abc'"),
    ("names", None, "names is missing"),
    ("degree_table", [{"degree": 1, "ssr": "low"}], "degree_table must be a list, each a degree with its numbers"),
    ("degree_table", [3], "degree_table must be a list, each a degree with its numbers, got [3]"),
    ("curve.stretch", 0.0, "curve.stretch must be a finite number above 0, got 0.0"),
    ("curve.exponent", 5000, "curve.exponent must be a whole number from -1,022 to 1,023, got 5000"),
    ("curve.y_exponent", 0.5, "curve.y_exponent must be a whole number from -2,200 to 2,200, got 0.5"),
    ("curve.coefficients", [[1.0, 0.0]], "curve.coefficients must be a list of 3, each a list of 2"),
    ("curve.error_functions", [[1.0]], "curve.error_functions must be a list, each a list of 3"),
]


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which a value is another, or is missing where it is None."""
    first, _, rest = path.partition(".")
    if rest:
        return content | {first: changed(content[first], rest, value)}
    kept = {name: old for name, old in content.items() if name != first}
    return kept if value is None else kept | {first: value}


def stored() -> dict[str, Any]:
    fit = regression.fit(range(12), [k * k + 0.1 * (-1) ** k for k in range(12)], 2)
    content: dict[str, Any] = json.loads(fit.to_json())
    return content


@pytest.mark.parametrize(("path", "value", "words"), FIELDS, ids=[f"{path} {value}"[:40] for path, value, _ in FIELDS])
def test_fit_json_is_checked_for_sense(path: str, value: Any, words: str) -> None:
    """An impossible count, scale or range is refused by its name."""
    with pytest.raises(UsageError, match=f"^not a fit of this program: the text: {re.escape(words)}") as refusal:
        Fit.from_json(json.dumps(changed(stored(), path, value)))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["[1]", "3", "null", "{}", '"curve"', "[" * 100_000])
def test_other_json_is_no_fit(text: str) -> None:
    """JSON that is no object, or no fit, is refused in one line."""
    with pytest.raises(UsageError, match=r"^not a fit of this program: the text: ") as refusal:
        Fit.from_json(text)
    assert "\n" not in str(refusal.value)


def test_a_scale_of_release_0_1_is_checked() -> None:
    """The scale that the last release wrote is above 0."""
    content = json.loads((ROOT / "tests" / "last_release" / "exact.json").read_text(encoding="utf-8"))
    assert Fit.from_json(json.dumps(content)).nobs == 10
    with pytest.raises(UsageError, match=r"curve\.scale must be a finite number above 0, got 0"):
        Fit.from_json(json.dumps(changed(content, "curve.scale", 0)))


def test_the_command_says_the_same(command: Command) -> None:
    """Predictions from such a file are refused in one line, with status 2 and without a folder."""
    Path("fit.json").write_text(json.dumps(changed(stored(), "sigma", -1.0)), encoding="utf-8")
    done = command("predict", "--ckpt_path", "fit.json")
    assert (done.code, done.folder, done.err.count("\n")) == (2, None, 1)
    assert "fit.json: sigma must be a finite number of at least 0, or null, got -1.0" in done.err


STATES: list[tuple[str, Any, str]] = [
    ("moments.nobs", -3, "moments.nobs must be a whole number of at least 1, got -3"),
    ("moments.degree", 1.5, "moments.degree must be a whole number of at least 0, got 1.5"),
    ("moments.sums", ["0x1"], "moments.sums must be 10 whole numbers"),
    ("moments.sums", ["-0x1"] * 10, "those of weights and of squares at least 0"),
    ("moments.frame.stretch", 0.0, "moments.frame.stretch must be a finite number above 0, got 0.0"),
    (
        "moments.frame.exponent",
        10**6,
        "moments.frame.exponent must be a whole number from -2,200 to 2,200, got 1000000",
    ),
    ("moments.frame.low", 99.0, "moments.frame.low must not be above high, got 99.0 and "),
    ("omitted", -1, "omitted must be a whole number of at least 0, got -1"),
    ("degree", 3, "degree must be a whole number from 0 to 2, or null, got 3"),
    ("origin.updates", -1, "origin.updates must be a whole number of at least 0, got -1"),
    ("origin.loss", "low", "origin.loss must be a finite number, or null, got 'low'"),
    ("origin.notes", "note", "origin.notes must be a list, each a text, got 'note'"),
]
OPTIMA: list[tuple[str, Any, str]] = [
    ("optimum.scale", "-1", "optimum.scale must be a finite number of at least 0, got -1"),
    ("optimum.scale", "NaN", "optimum.scale must be a finite number of at least 0, got NaN"),
    ("optimum.coefficients", ["Infinity"] * 3, "optimum.coefficients must be finite numbers"),
]


@pytest.fixture(scope="module")
def module() -> PolynomialRegression:
    made = PolynomialRegression(2, loss="HuberLoss", loss_args={"delta": 0.1})
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(made, regression.SineLineDataModule(points=20, noise=0.2, validation_fraction=0.2))
    return made


@pytest.mark.parametrize(("path", "value", "words"), [*STATES, *OPTIMA])
def test_the_fit_in_a_checkpoint_is_checked_for_sense(
    module: PolynomialRegression, path: str, value: Any, words: str
) -> None:
    """Impossible sums and counts are refused by name when weights are loaded, and the right ones accepted."""
    state = module.get_extra_state()
    other = PolynomialRegression(2, loss="HuberLoss", loss_args={"delta": 0.1})
    other.set_extra_state(state)
    words = re.escape(words)
    with pytest.raises(UsageError, match=f"^the weights come with no fit of this program: .*{words}.*; take another"):
        other.set_extra_state(changed(state, path, value))
