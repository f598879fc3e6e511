"""The command, run in the test's own process and folder.

Imports of the package are within functions: pytest's first process only hands tests to the others, and needs none.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from tests.support.command import Command, Run


ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)  # a PNG file


@pytest.fixture(scope="session", autouse=True)
def compiled_loops() -> None:
    """Compile the loops once, before the first test: the line on stderr that says so is not a test's own."""
    import numpy as np
    import torch

    import regression

    random = np.random.default_rng(0)
    x, noise = random.uniform(size=(2, 60_000))
    for sigma in (None, 1 + noise):
        for y in (noise, 1 + 2 * x):  # the second one takes a second pass
            fit = regression.fit(x, y, 3, sigma)
    fit.predict(random.uniform(size=60_000), sigma=1.0)
    on_grid = torch.linspace(0, 1, 60_000)
    fit_float32(on_grid, on_grid.square())  # which takes a second pass too
    regression.fit_series(x, noise, np.arange(60_000) // 10)


def fit_float32(x: Tensor, y: Tensor) -> None:
    """Fit points as the textbook's are: a compiled loop has a version for each number type."""
    from regression.common.points import Points
    from regression.curves.polynomial import Polynomial
    from regression.fits.least_squares import LeastSquares
    from regression.moments.passes import Passes
    from regression.moments.scan import Range

    points = Points(x, y)
    found, least_squares = Range(), LeastSquares(Polynomial(3, "chebyshev"))
    points.scan(found.add)
    least_squares.begin(found.frame(), omitted=0)
    points.scan(least_squares.add)
    least_squares.solve(Passes.of(points))


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Command:
    """Run the command in this process, in a folder of the test's own.

    Drawing takes a third of the time of a short run, so only tests marked ``figures`` have their figures drawn; other
    figures are composed, and their files hold one pixel.
    """
    from regression.cli import main
    from regression.figures import figure
    from tests.support.command import Run, versions

    monkeypatch.chdir(tmp_path)
    if not request.node.get_closest_marker("figures"):
        monkeypatch.setattr(figure, "figure_file", lambda *_: ONE_PIXEL)

    def run(*args: str) -> Run:
        before = versions(tmp_path)
        capfd.readouterr()
        code = main(list(args))
        captured = capfd.readouterr()
        new = versions(tmp_path) - before
        assert len(new) <= 1
        return Run(code, captured.out, captured.err, new.pop() if new else None)

    return run
