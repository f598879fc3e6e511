"""Loops as they stand and compiled: the same bits, kept between processes, and never a reason to fail."""

import itertools
import math
import random
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest

from regression.kernels.compilation import Notice
from regression.kernels.compiled import PLAIN_STEPS, choose, compiled, loop, rows_for
from regression.kernels.double_double import product_error
from regression.kernels.folder_lock import FolderLock

LOOPS = """
from regression.kernels.compiled import loop
from regression.kernels.double_double import two_sum

STEP = 0.1

@loop
def total(values):
    high, low = 0.0, 0.0
    for value in values:
        high, rest = two_sum(high, value * STEP)
        low += rest
    return high, low
"""
SCALARS = """
from regression.kernels.compiled import loop
from regression.kernels.double_double import product_error

@loop
def product_and_sum(a, b, c):
    return a * b + c

@loop
def error(a, b):
    return product_error(a, b)
"""
VALUES = np.random.default_rng(0).normal(size=50)

numbers = itertools.count()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python's own cache misses a change within a second
    path = tmp_path / "loops.py"
    path.write_text(LOOPS)
    return path


def load(path: Path, **replaced: object) -> ModuleType:
    """Return a file imported anew, as in another process."""
    spec = spec_from_file_location(f"loops_{next(numbers)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(replaced)
    return module


def called(function: Callable[..., Any]) -> tuple[Any, int, int]:
    """Return what a loop gives for the values when compiled, and how many of its versions were loaded and compiled."""
    ready: Any = compiled(function)
    result = ready(VALUES)
    return result, ready.stats.cache_hits.total(), ready.stats.cache_misses.total()


def test_same_bits(path: Path) -> None:
    """A loop and the loops that it calls give the same bits as they stand and compiled."""
    total = load(path).total
    assert called(total)[0] == total(VALUES.tolist())


def test_choice_by_work(path: Path) -> None:
    """A loop runs as it stands while there is little to do, and compiled once it has been compiled for more."""
    total = load(path).total
    assert choose(total, 1000) is total
    assert choose(total, PLAIN_STEPS) is compiled(total)
    assert choose(total, 1) is compiled(total)


def test_choice_of_many_small_pieces(path: Path) -> None:
    """A loop that is asked for again and again for little is compiled in the end."""
    total = load(path).total
    chosen = [choose(total, PLAIN_STEPS // 10) for _ in range(12)]
    assert chosen == [total] * 10 + [compiled(total)] * 2


def test_threads(path: Path) -> None:
    """Threads that ask for a loop at once get the same one, which is compiled once."""
    total = load(path).total
    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(lambda _: choose(total, PLAIN_STEPS + 1)(VALUES), range(8)))
    assert results == {total(VALUES.tolist())}
    ready: Any = compiled(total)
    assert ready.stats.cache_misses.total() == 1


def test_kept_beside_the_source(path: Path) -> None:
    """A loop is compiled once, and kept in the folder of its package."""
    first, second = called(load(path).total), called(load(path).total)
    assert (first[1:], second[1:]) == ((0, 1), (1, 0))
    assert first[0] == second[0]
    assert list(path.parent.glob("__pycache__/loops.total_*.nbc"))


def test_kept_for_the_user(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of a package whose folder cannot be written is kept in the user's own."""
    (path.parent / "__pycache__").write_text("a file: nobody can write below it, not even root")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert called(load(path).total)[1:] == (0, 1)
    assert called(load(path).total)[1:] == (1, 0)
    assert list((tmp_path / "user").rglob("loops.total_*.nbc"))


def test_no_place_to_keep(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, where numba alone refuses, a loop is compiled and not kept."""
    (path.parent / "__pycache__").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path / "below a file"))
    total = load(path).total
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(total)
    assert called(total)[0] == total(VALUES.tolist())
    assert [found.name for found in tmp_path.iterdir() if found.name not in ("loops.py", "__pycache__")] == []


def test_lost_place(path: Path) -> None:
    """A folder that vanishes before a loop is kept in it does not matter."""
    total = load(path).total
    compiled(total)
    shutil.rmtree(path.parent / "__pycache__")
    (path.parent / "__pycache__").write_text("")
    assert called(total)[0] == total(VALUES.tolist())


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["empty", "half", "zeros"])
def test_damaged_file(suffix: str, damage: str, path: Path) -> None:
    """A kept loop that is cut short, or ends in zeros after a power failure, is compiled and kept again."""
    expected, *_ = called(load(path).total)
    (file,) = path.parent.glob(f"__pycache__/*.{suffix}")
    half = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes({"empty": b"", "half": half, "zeros": half + bytes(len(half))}[damage])
    assert called(load(path).total)[0] == expected
    assert called(load(path).total) == (expected, 1, 0)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
def test_damaged_machine_code(place: float, path: Path) -> None:
    """A kept loop in which one bit is wrong is not run."""
    expected, *_ = called(load(path).total)
    (file,) = path.parent.glob("__pycache__/*.nbc")
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 16
    file.write_bytes(content)
    assert called(load(path).total) == (expected, 0, 1)


def test_change_in_another_file(path: Path, tmp_path: Path) -> None:
    """A kept loop is not used once a loop that it calls, or a number that it takes from elsewhere, is another one."""
    other = tmp_path / "other.py"
    results = []
    for scale in ("2.0", "4.0"):
        other.write_text(f"{LOOPS}\n@loop\ndef two_sum(a, b):\n    return a + {scale} * b, 0.0\n")
        results.append(called(load(path, two_sum=load(other).two_sum).total))
        results.append(called(load(path, STEP=float(scale)).total))
    assert [result[1:] for result in results] == [(0, 1)] * 4
    assert len({result[0] for result in results}) == 4


def test_loop_that_cannot_be_compiled(path: Path) -> None:
    """After a compilation that fails, other processes go on."""
    with pytest.raises(numba.TypingError, match="two_sum"):
        called(load(path, STEP="text").total)
    lock = FolderLock(path.parent / "__pycache__")
    assert lock.acquire(0)
    lock.release()


def test_notice(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A compilation that takes long is said in one line on stderr, a second one is not, nor one that ends sooner."""
    monkeypatch.setattr(Notice, "is_printed", False)
    quick, first, second = Notice("each time"), Notice("once"), Notice("twice")
    quick.start(60)
    quick.cancel()
    for notice in (first, second):
        notice.start(0)
        notice._timer.join(10)  # type: ignore[union-attr]
    assert capfd.readouterr() == ("", "regression: compiling the loops over points for this processor, once\n")


@loop
def products_errors(a: Any, b: Any, errors: Any) -> None:
    for k in range(len(errors)):
        errors[k] = product_error(a[k], b[k])


def test_nothing_is_fused(path: Path) -> None:
    """A product and a sum are rounded one after the other, not at once."""
    path.write_text(SCALARS)
    product_and_sum = load(path).product_and_sum
    a, c = 1 + 2.0**-30, -(1 + 2.0**-29)
    assert Fraction(a) * Fraction(a) + Fraction(c) == Fraction(1, 2**60)  # what a fused operation would give
    assert product_and_sum(a, a, c) == compiled(product_and_sum)(a, a, c) == 0


def machine_code(function: Callable[..., Any], triple: str, processor: str) -> str:
    """Return the instructions of a compiled loop, which has just been compiled, for another processor."""
    ready: Any = compiled(function)
    (text,) = ready.inspect_llvm().values()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, opt=3)
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = triple, str(machine.target_data)
    code: str = machine.emit_assembly(module)
    return code


@pytest.mark.parametrize(
    ("triple", "processor", "fused"),
    [
        ("x86_64-unknown-linux-gnu", "haswell", r"\bvfn?m(?:add|sub)\w*"),
        ("aarch64-unknown-linux-gnu", "apple-m1", r"\bfn?m(?:add|sub|la|ls)\b"),
    ],
)
def test_machine_code(triple: str, processor: str, fused: str, path: Path) -> None:
    """Processors that can fuse products and sums are not told to, on x86 as on ARM, but for a product's error."""
    path.write_text(SCALARS)
    module = load(path)
    assert compiled(module.product_and_sum)(1.0, 2.0, 3.0) == 5
    assert re.findall(fused, machine_code(module.product_and_sum, triple, processor)) == []
    assert compiled(module.error)(1.0, 2.0) == 0
    assert len(re.findall(fused, machine_code(module.error, triple, processor))) == 1


@pytest.mark.parametrize(("largest", "of_product"), [(0, 0), (20, 40), (994, 959)])
def test_errors_of_products(largest: int, of_product: int) -> None:
    """The error of a product is exact, as it stands and compiled, for all sizes that are allowed."""
    rng = random.Random(largest)
    pairs = []
    while len(pairs) < 3000:
        first, second = (rng.randint(-largest, largest) for _ in "ab")
        if abs(first + second) <= of_product:
            pairs.append((rng.uniform(1, 2) * 2.0**first, rng.choice([-1, 1]) * rng.uniform(1, 2) * 2.0**second))
    errors = np.zeros(len(pairs))
    compiled(products_errors)(*np.array(pairs).T.copy(), errors)
    for (a, b), error in zip(pairs, errors.tolist(), strict=True):
        assert Fraction(error) == Fraction(a) * Fraction(b) - Fraction(a * b)
        assert error == product_error(a, b)


def kinds(dtype: str) -> list[Any]:
    """Return the same numbers as arrays of all kinds that numba would tell apart."""
    plain = np.linspace(-1, 1, 8).astype(dtype)
    locked, bytes_ = plain.copy(), np.zeros(plain.nbytes + 1, np.uint8)
    locked.flags.writeable = False
    unaligned = bytes_[1:].view(dtype)
    unaligned[:] = plain
    columns = np.asfortranarray(np.stack([plain, plain], 1))[:, 0]
    swapped = plain.astype(plain.dtype.newbyteorder())
    return [plain, locked, unaligned, plain[::-1].copy()[::-1], np.repeat(plain, 2)[::2], columns, swapped]


def test_one_version_for_each_dtype(path: Path) -> None:
    """Read-only, reversed, scattered and byte-swapped arrays need no versions of a loop of their own."""
    total = load(path).total
    ready: Any = compiled(total)
    for count, dtype in enumerate(("float64", "float32"), 1):
        given = kinds(dtype)
        results = {ready(rows_for(ready, values)) for values in given}
        assert results == {total(rows_for(total, values)) for values in given}
        assert (len(results), len(ready.signatures)) == (1, count)


def test_rows_are_for_reading(path: Path) -> None:
    """What a compiled loop is given is the array itself, which it cannot change."""
    rows = rows_for(compiled(load(path).total), VALUES)
    assert np.shares_memory(rows, VALUES)
    assert (rows.flags.writeable, VALUES.flags.writeable) == (False, True)
    assert math.isfinite(rows[0])
