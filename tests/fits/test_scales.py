"""Errors and tests of residuals whose squares are beyond float64's range."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regression
from tests.support.command import Command

POWERS = (-900, -620, 600, 900)  # of two, by which y is multiplied without rounding
KINDS = ({"cov_type": "HC3"}, {"cov_type": "HAC"}, {"cov_type": "HC1"}, {"robust": "huber"}, {"robust": "bisquare"})


def points() -> tuple[Any, Any]:
    """Return points with unequal scatter and an outlier."""
    rng = np.random.default_rng(5)
    x = np.repeat(np.linspace(0, 3, 15), 2)
    y = 1 + 2 * x + rng.normal(size=30) * (0.2 + 0.3 * x)
    y[7] = 12
    return x, y


@pytest.mark.parametrize("options", KINDS, ids=lambda found: "-".join(found.values()))
def test_errors_scale_with_y_to_the_last_bit(options: dict[str, Any]) -> None:
    """If y is multiplied by a power of two, robust fits and errors are multiplied by it, bit for bit."""
    x, y = points()
    fit = regression.fit(x, y, **options)
    assert fit.bse is not None
    for power in POWERS:
        scaled = regression.fit(x, np.ldexp(y, power), **options)
        assert np.array_equal(scaled.bse, np.ldexp(fit.bse, power))
        assert np.array_equal(scaled.params, np.ldexp(fit.params, power))
        assert scaled.scale == (None if fit.scale is None else math.ldexp(fit.scale, power))
    for factor in (1e-170, 1e170):
        assert regression.fit(x, y * factor, **options).bse / factor == pytest.approx(fit.bse, rel=1e-14)


@pytest.mark.parametrize("factor", [1e-170, 1e170])
@pytest.mark.parametrize("option", ["--model.cov_type=HC3", "--model.robust=huber"])
def test_the_command_fits_y_of_any_size(command: Command, tmp_path: Path, factor: float, option: str) -> None:
    """The command has the errors of tiny and huge y too."""
    x, y = points()
    rows = "\n".join(f"{a!r},{b!r}" for a, b in zip(x.tolist(), (y * factor).tolist(), strict=True))
    (tmp_path / "points.csv").write_text(f"x,y\n{rows}\n")
    done = command("fit", "points.csv", option)
    assert done.code == 0, done.err
    assert all(0 < error / factor < 10 for error in done.fit["bse"])


def test_residual_tests_do_not_depend_on_the_unit_of_y() -> None:
    """Tests of residuals have the same bits at all sizes of y, and PRESS is null if it is beyond float64's range."""
    x, y = points()
    tests = regression.fit(x, y).diagnostics(x, y)
    assert tests.breusch_pagan is not None
    assert tests.press is not None
    for power in POWERS:
        scaled = np.ldexp(y, power)
        own = regression.fit(x, scaled).diagnostics(x, scaled)
        assert (own.breusch_pagan, own.lack_of_fit) == (tests.breusch_pagan, tests.lack_of_fit)
        assert own.durbin_watson == tests.durbin_watson
        assert (own.press, own.loo) == (None, None)
        assert own.notes == ("PRESS is unknown: it is beyond float64's range",)
    near = np.ldexp(y, 100)
    assert regression.fit(x, near).diagnostics(x, near).press == math.ldexp(tests.press, 200)
    for factor in (1e-160, 1e153):
        own = regression.fit(x, y * factor).diagnostics(x, y * factor)
        assert own.breusch_pagan is not None
        assert own.breusch_pagan.statistic == pytest.approx(tests.breusch_pagan.statistic, rel=1e-9)


def test_leave_one_out_chooses_the_same_degree_in_every_unit() -> None:
    """Degrees are compared in scaled numbers; numbers beyond float64's range are null in the table."""
    x, y = points()
    fit = regression.fit(x, y, degree="auto", criterion="loo")
    for power in POWERS:
        own = regression.fit(x, np.ldexp(y, power), degree="auto", criterion="loo")
        assert own.degree == fit.degree
        assert {row["loo"] for row in own.degree_table} == {None}
    own = regression.fit(x, np.ldexp(y, 400), degree="auto", criterion="loo")
    assert [row["loo"] for row in own.degree_table] == [math.ldexp(row["loo"] or 0, 800) for row in fit.degree_table]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model.cov_type", "HC3"], "errors are those of HC3; tests need cov_type nonrobust"),
        (["--model.robust", "huber"], "errors are those of the huber M-estimate; tests need least squares"),
        (
            ["--data.sigma", "s", "--data.sigma_x", "t"],
            "errors are York's, of points with errors in x; tests need a fit",
        ),
        (["--model.solver", "gradient", "--trainer.max_epochs", "2"], "the fit has not converged"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_report_says_why_residuals_are_not_tested(
    command: Command, tmp_path: Path, options: list[str], words: str
) -> None:
    """The full report names the kind of errors, or says that the fit has not converged, and has no tests."""
    rows = "\n".join(f"{a!r},{b!r},1,0.1" for a, b in zip(*(column.tolist() for column in points()), strict=True))
    (tmp_path / "points.csv").write_text(f"x,y,s,t\n{rows}\n")
    done = command("fit", "points.csv", "--data.x", "x", "--data.y", "y", "--report.full", "true", *options)
    assert done.code == 0, done.err
    assert f"residuals are not tested: {words}" in done.out
    assert "PRESS" not in done.out
