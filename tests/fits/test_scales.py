"""Errors and tests of residuals whose squares float64 does not hold."""

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
    """Robust fits and errors at y times a power of two are those at y times it, bit for bit, at all sizes of y."""
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
