"""Files of the last release still load, and give the same curve."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from regression import Fit
from tests.support.command import ROOT, Command

FOLDER = ROOT / "tests" / "last_release"
NAMES = [
    "line_gradient",
    "chebyshev",
    "exact",
    "double",
    "auto",
]  # the last but one has sums of the old mode ``double``


def left(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def old_values(content: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    """Return the old curve, from its coefficients in Chebyshev polynomials."""
    t = ((x - content["curve"]["center"]) / content["curve"]["scale"]).clamp(-1, 1).acos()
    terms = [c * torch.cos(k * t) for k, c in enumerate(content["curve"]["coefficients"])]
    return torch.stack(terms).sum(dim=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_in_json_loads(name: str) -> None:
    """The curve, its errors and every number of the report are those of the old file."""
    content, fit = left(name), Fit.from_json(FOLDER / f"{name}.json")
    assert (list(fit.params), list(fit.bse), fit.sigma) == (content["params"], content["bse"], content["sigma"])
    assert fit.conf_int is not None
    assert [list(pair) for pair in fit.conf_int] == [pytest.approx(pair, rel=1e-13) for pair in content["conf_int"]]
    x = torch.linspace(*content["x_range"], 7, dtype=torch.float64)
    bands = fit.predict(x)
    torch.testing.assert_close(bands.mean, old_values(content, x), rtol=1e-13, atol=1e-13)
    first = fit.predict(torch.tensor([content["curve"]["center"]], dtype=torch.float64))
    cov, middle = content["curve"]["cov"], [(1, 0, -1, 0)[k % 4] for k in range(len(content["params"]))]
    variance = sum(a * b * cov[i][j] for i, a in enumerate(middle) for j, b in enumerate(middle))
    assert first.mean_se.item() == pytest.approx(variance**0.5, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_predicts(name: str, command: Command) -> None:
    """A checkpoint alone gives the old curve and its errors; sums of the mode ``double`` have fewer digits."""
    shutil.copytree(ROOT / "tests" / "certified", Path("tests") / "certified")
    done = command("predict", "--ckpt_path", str(FOLDER / f"{name}.ckpt"))
    assert (done.code, done.err) == (0, "")
    assert done.folder is not None
    table = pd.read_csv(done.folder / "predictions.csv")
    right = Fit.from_json(FOLDER / f"{name}.json").predict(torch.tensor(table["x"].to_numpy()))
    tolerance = 1e-9 if name == "double" else 1e-12
    for column in ("mean", "mean_se", "obs_ci_upper"):
        assert table[column].to_numpy() == pytest.approx(getattr(right, column).numpy(), rel=tolerance)


def test_a_run_is_resumed(command: Command) -> None:
    """Gradient descent resumes from an old checkpoint."""
    done = command("fit", "--ckpt_path", str(FOLDER / "line_gradient.ckpt"), "-c", str(ROOT / "configs" / "line.yaml"),
                   "--trainer.max_epochs", "12")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.fit["updates"] == 12
    whole = command("fit", "-c", str(ROOT / "configs" / "line.yaml"), "--trainer.max_epochs", "12")
    assert done.fit["params"] == whole.fit["params"]
