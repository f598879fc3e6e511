"""The names of the package: each is imported when it is asked for, and the Python door imports little."""

import ast
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest

import regression
from regression.common.public_names import MODULES

ROOT = Path(__file__).parents[1]
HEAVY = ("jsonargparse", "lightning", "matplotlib", "numba", "pandas", "polars", "pyarrow", "scipy.stats",
         "tensorboard", "torchmetrics", "yaml")  # fmt: skip
FIT = f"""
import sys
import regression
from regression.common.public_names import MODULES
assert not [name for name in ("numpy", "torch") if name in sys.modules]
x = [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
fit = regression.fit(x, [value + value % 2 for value in x])
print(fit)
fit.predict([0.5])
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def test_python_door() -> None:
    """``regression.fit`` of ten points imports no Lightning, no numba, no scipy.stats, and nothing that reads files."""
    done = subprocess.run([sys.executable, "-c", FIT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "10 points" in done.stdout


def test_names_are_told_to_type_checkers() -> None:
    """What is imported when asked for is what type checkers see, and what ``from regression import *`` gives."""
    imports = [node for node in ast.walk(ast.parse(Path(regression.__file__).read_text())) if isinstance(node, ast.If)]
    (checked,) = imports[:1]
    told = {
        (alias.name, node.module) for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == {(name, f"regression.{module}") for name, module in MODULES.items()}
    assert sorted(MODULES) == sorted(regression.__all__)


def test_each_name() -> None:
    """Each public name is a class or function, is listed by ``dir``, and is the same one each time."""
    for name in regression.__all__:
        assert isinstance(getattr(regression, name), type | FunctionType)
        assert getattr(regression, name) is getattr(regression, name)
    assert set(regression.__all__) <= set(dir(regression))


def test_unknown_name() -> None:
    """A name that the package does not have is refused as Python does."""
    with pytest.raises(AttributeError, match="module 'regression' has no attribute 'Line2'"):
        regression.Line2  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Line2' from 'regression'"):
        from regression import Line2  # noqa: F401
