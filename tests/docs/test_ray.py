"""The modules run under Ray Train as docs/lightning.md shows it, where Ray is installed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import regression
from tests.support.command import ROOT
from tests.support.pages import blocks

TABLE = str(ROOT / "tests" / "certified" / "Norris.csv")
RUN = """
if __name__ == "__main__":
    import sys

    ray.init(num_cpus=2, include_dashboard=False)
    for solver in ("exact", "gradient"):
        fit_on_ray(sys.argv[1], sys.argv[2] + solver, solver)
"""


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray, which no extra installs")
def test_two_workers_fit_as_one_process_does(tmp_path: Path) -> None:
    """The exact fit of two workers has the bits of one process; a descent of 20 updates is at its optimum."""
    (shown,) = [
        block.content for block in blocks((ROOT / "docs" / "lightning.md").read_text()) if block.language == "py"
    ]
    (tmp_path / "on_ray.py").write_text(shown + RUN)
    subprocess.run(
        [sys.executable, "on_ray.py", TABLE, f"{tmp_path}/"], cwd=tmp_path, check=True, timeout=600, capture_output=True
    )
    exact, gradient = (regression.load(tmp_path / solver) for solver in ("exact", "gradient"))
    points = regression.TableDataModule(TABLE)
    points.setup("fit")
    alone = regression.fit(points.all.points.x, points.all.points.y)  # type: ignore[attr-defined]
    assert (exact.params, exact.bse) == (alone.params, alone.bse)
    assert (gradient.nobs, gradient.updates) == (36, 20)
    assert gradient.params.tolist() == pytest.approx(alone.params.tolist(), rel=1e-4)
