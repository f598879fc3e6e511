"""What pip installs is the whole package, and its command runs far from a checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of a copy of the sources, and install it into a folder."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs git and a checkout: the wheel is made of what is in it")
    for name in listed.stdout.splitlines():
        if name.startswith("regression/") or "/" not in name:
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for words in (
        ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source")],
        [
            "install",
            "--no-deps",
            "--no-index",
            "--find-links",
            str(folder),
            "--target",
            str(folder / "site"),
            "regression",
        ],
    ):  # fmt: skip
        done = subprocess.run([*pip, *words], cwd=folder, capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "site"


def test_every_file_is_in_the_wheel(site: Path) -> None:
    """The installed package has the files of the checkout, none more."""
    expected = {str(path.relative_to(ROOT)) for path in (ROOT / "regression").rglob("*.py")}
    assert {str(path.relative_to(site)) for path in (site / "regression").rglob("*.py")} == expected


def test_the_installed_command_fits_a_table(site: Path, tmp_path: Path) -> None:
    """The command on the path fits a file, with the code that was installed and no other."""
    (tmp_path / "meas.csv").write_text("t,u\n1,3\n2,5\n3,7\n")
    program = "import regression, sys; from regression.cli import main; print(regression.__file__); sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "fit", "meas.csv"], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(site))
    assert "\n  slope      2" in done.stdout
    assert (site / "bin" / "regression").is_file()
