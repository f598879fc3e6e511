"""Bad and odd input, one case a row: it is refused in one line, accepted with a warning, or accepted."""

import gzip
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from regression import TableDataModule, UndeterminedWarning, UsageError
from regression.data.rows import MemoryRows
from tests.support.command import Command, config

LIMIT_S = 5.0  # of processor time until a file is refused
X, Y = [0.0, 1, 2, 3, 4], [1.0, 3.1, 4.9, 7.2, 9]


def good(path: Path) -> None:
    path.write_text("x,y\n" + "".join(f"{a},{b}\n" for a, b in zip(X, Y, strict=True)))


def bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"x,y\n")
        for _ in range(300):
            file.write(b"1,2\n" * (1 << 18))


def wide(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"x,y\n1,")
        for _ in range(200):
            file.write(b"7" * (1 << 20))


def link(path: Path) -> None:
    path.symlink_to("nowhere")


def other_schema(path: Path) -> None:
    path.mkdir()
    parquet.write_table(pa.table({"x": X, "y": Y}), path / "a.parquet")
    parquet.write_table(pa.table({"x": X, "z": Y}), path / "b.parquet")


def truncated(path: Path) -> None:
    parquet.write_table(pa.table({"x": X, "y": Y}), path)
    path.write_bytes(path.read_bytes()[:-9])


def columns(**named: object) -> Callable[[Path], None]:
    return lambda path: parquet.write_table(pa.table(named), path)


REFUSED_FILES: list[tuple[str, bytes | str | Callable[[Path], object], str]] = [
    (
        "a.csv",
        "x,y\n1,2\n,3\n",
        "column 'x' must be finite, got a missing number in data row 2, and 1 such row in all; "
        "--data.nan_policy omit leaves such rows out",
    ),
    ("a.csv", "x,y\n1,2\n3,NA\n4,NULL\n", "column 'y' must be finite, got a missing number in data row 2, and 2 such"),
    ("a.csv", "x,y\n1,2\n3,nan\n", "got a missing number in data row 2"),
    ("a.csv", "x,y\n1,2\n-inf,3\n", "got -inf in data row 2"),
    ("a.csv", "x,y\n1,2\n1,1e999\n", "got inf in data row 2"),
    ("a.csv", "x,y\n1,2\n3\n", "data row 2 has 1 cell, the header has 2: give every row one cell for each column"),
    ("a.csv", "x,y\n1,2\n3,4,5\n", "data row 2 has 3 cells, the header has 2"),
    (
        "a.csv",
        "x,y\n1,two\n",
        "data row 1, column 'y', holds 'two' where a number is expected: correct it",
    ),
    (
        "a.csv",
        'x,y\n1,"1,000"\n',
        "holds '1,000' where a number is expected: write numbers with a decimal point",
    ),
    (
        "a.csv",
        "x;y\n1;2\n1,5;2\n",
        "holds '1,5' where a number is expected: write numbers with a decimal point",
    ),
    (
        "a.csv",
        "x,y\n31.01.2024,2\n",
        "holds '31.01.2024' where a number is expected: write dates in the column of x such as 2024-01-31",
    ),
    ("a.csv", "x,y\n1,true\n", "data row 1, column 'y', holds 'true' where a number is expected: write 1 or 0"),
    (
        "a.csv",
        "x,y\n1,=B1*2\n",
        "holds '=B1*2' where a number is expected: save the value, not the formula",
    ),
    ("a.csv", "x,y\n0x10,1\n", "holds '0x10'"),
    ("a.csv", "x,x,y\n1,2,3\n", "column 'x' is there 2 times"),
    ("a.csv", "x,y\n", "expected at least one row"),
    ("a.csv", "", "a.csv is empty"),
    ("a.csv", "\n\n\n", "a.csv has no row"),
    ("a.csv", "1,2\n3,4\n", "a.csv has no header row"),
    ("a.csv", "X,Y\n1,2\n", "there is no column 'x' among 'X', 'Y'; did you mean 'X'?"),
    ("a.csv", " x,y\n1,2\n", "did you mean ' x'?"),
    ("a.csv", "t,v\n1,2\n", "there is no column 'x' among 't', 'v'"),
    ("a.csv", "x,y\n1,2\n".encode("utf-16"), "a.csv is UTF-16 text: save it as UTF-8"),
    ("a.csv", bytes(range(256)) * 40, "a.csv"),
    ("a.csv", b"\x00" * 1000, "a.csv is not text"),
    ("a.csv", 'x,y\n1,2\n"3,4\n5,6\n', "a quotation mark is not closed"),
    ("a.csv", 'x,y\n1,"2"3\n', "a quotation mark stands inside a cell"),
    ("a.csv", 'x,y\n1,2\n"\n"a,3\n', "a quotation mark stands inside a cell"),
    ("a.csv", b"x,y\n\xef\xbb\xbf1,2\n", "data row 1 begins with a byte order mark"),
    ("a.csv", wide, "a row is longer than 4 MiB"),
    ("bomb.csv.gz", bomb, "unpacks to more than 200 times its size"),
    ("cut.csv.gz", gzip.compress(b"x,y\n1,2\n" * 50)[:-12], "cut.csv.gz"),
    ("link.csv", link, "is a link to nothing"),
    ("folder", os.mkdir, "is a folder without tables"),
    ("pipe.csv", os.mkfifo, "is not a regular file"),
    ("/dev/zero", lambda _: None, "is not a regular file"),
    ("missing.csv", lambda _: None, "missing.csv: no such file"),
    ("none*.csv", lambda _: None, "no file matches"),
    ("https://me:word@example.org/a.csv", lambda _: None, "path https://… holds a password, a key or a signature"),
    ("s4://bucket/a.csv", lambda _: None, "s4://bucket/a.csv: the store failed: Protocol not known: s4"),
    ("a.parquet", columns(x=["1", "2"], y=[1.0, 2]), "column 'x' must hold numbers, got type string"),
    (
        "a.parquet",
        columns(x=[True, False], y=[1.0, 2]),
        "column 'x' must hold numbers, got type bool: convert it",
    ),
    ("a.parquet", columns(x=[1.0, None], y=[1.0, 2]), "got a missing number in data row 2"),
    (
        "a.parquet",
        truncated,
        "a.parquet is damaged, or not what its name says: Parquet magic bytes not found in footer",
    ),
    ("a.parquet", "x,y\n1,2\n", "a.parquet does not begin like a parquet file"),
    ("folder", other_schema, "b.parquet: there is no column 'y' among 'x', 'z'"),
    (
        "a.npy",
        lambda path: np.save(path, np.array([{}, {}]), allow_pickle=True),
        "a.npy must hold numbers, got type object",
    ),
    ("a.npy", lambda path: np.save(path, np.zeros((2, 2, 2))), "expected an array of shape (N, columns)"),
    ("a.npz", lambda path: np.savez(path, x=X, y=Y[:3]), "expected arrays of one shape (N,)"),
    ("a.xlsx", b"PK\x03\x04" + bytes(100), "is a zip archive or a spreadsheet"),
]


@pytest.mark.parametrize(("name", "content", "words"), REFUSED_FILES, ids=[case[2][:50] for case in REFUSED_FILES])
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path,
    name: str,
    content: bytes | str | Callable[[Path], object],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each bad file is refused within seconds, in one line that names it, its row and its column."""
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    elif isinstance(content, str):
        Path(name).write_text(content)
    else:
        content(Path(name))
    begun = time.process_time()
    with pytest.raises(UsageError) as refusal:
        TableDataModule(name).setup("fit")
    assert time.process_time() - begun < LIMIT_S
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("streamed", [False, True])
def test_no_row_left_is_refused(command: Command, streamed: bool) -> None:
    """Where each row has a missing number, leaving such rows out leaves nothing: refused, in memory and streamed."""
    columns(x=[1.0, None], y=[None, 2.0])(Path("a.parquet"))
    done = command("fit", "-c", config("own_file"), "--data.path", "a.parquet", "--data.nan_policy", "omit",
                   "--data.in_memory_rows", "1" if streamed else "10")  # fmt: skip
    assert (done.code, done.folder, done.err.count("\n")) == (2, None, 1)
    assert "a.parquet: no row is left: each of its 2 has a missing or infinite number" in done.err


@pytest.mark.parametrize("value", ["0", "-1"])
def test_sigma_that_is_not_positive_is_refused(command: Command, value: str) -> None:
    """The command prints the reader's message in one line, exits with status 2, and leaves no folder."""
    Path("a.csv").write_text(f"x,y,s\n1,2,1\n3,4,{value}\n")
    done = command("fit", "-c", config("own_file"), "--data.path", "a.csv", "--data.sigma", "s")
    assert (done.code, done.folder, done.err.count("\n")) == (2, None, 1)
    assert (
        f"a.csv: column 's' must be positive, got {value} in data row 2, and 1 such row in all; a standard" in done.err
    )


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is refused by name."""
    good(tmp_path / "a.csv")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match=r"a\.csv: no permission to read it"):
        TableDataModule(str(tmp_path / "a.csv")).setup("fit")


ACCEPTED = [
    ("semicolons and CRLF", b"x;y\r\n0;1\r\n1;3\r\n2;5\r\n\r\n\r\n", [1, 2]),
    ("a byte order mark and tabs", b"\xef\xbb\xbfx\ty\n0\t1\n1\t3\n2\t5\n", [1, 2]),
    ("unsorted x twice with different y", b"x,y\n2,5\n0,0\n0,2\n1,3\n", [1, 2]),
    ("large x", b"x,y\n1e300,1e20\n2e300,2e20\n3e300,3e20\n", [0, 1e-280]),
    ("large y", b"x,y\n0,1e20\n1,3e20\n2,5e20\n", [1e20, 2e20]),
    ("unix time", b"x,y\n" + b"".join(b"%d,%d\n" % (1_700_000_000 + k, 5 + 2 * k) for k in range(10)), [5 - 3.4e9, 2]),
    ("quoted numbers", b'"x","y"\n"0","1"\n"1","3"\n"2","5"\n', [1, 2]),
]


@pytest.mark.parametrize(("content", "right"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_odd_files_give_the_right_answer(command: Command, content: bytes, right: list[float]) -> None:
    """Unusual but unambiguous files are accepted without a message, and the fitted line is right."""
    Path("a.csv").write_bytes(content)
    done = command("fit", "-c", config("own_file"), "--data.path", "a.csv")
    assert (done.code, done.err) == (0, "")
    curve = done.fit["curve"]
    rounding = 1e-9 * curve["coefficients"][0][0] * 2.0 ** curve["y_exponent"]  # an intercept of 0 where y is 1e20
    assert done.fit["params"][0] == pytest.approx(right[0], rel=1e-9, abs=rounding)
    assert done.fit["params"][1] == pytest.approx(right[1], rel=1e-9, abs=0)


@pytest.mark.parametrize(("solver", "which"), [("exact", "the ones of least norm"), ("gradient", "some of many")])
@pytest.mark.parametrize("content", ["x,y\n1,2\n,3\n", "x,y\n7,1\n7,2\n7,3\nNA,1\n"])
def test_undetermined_lines_are_a_warning(command: Command, content: str, solver: str, which: str) -> None:
    """One row, or one x, is fitted with a warning, nulls and the reason, beside the note of rows left out."""
    Path("a.csv").write_text(content)
    with pytest.warns(UndeterminedWarning, match=f"the points fix 1 of 2 coefficients.*these are {which}"):
        done = command("fit", "-c", config("own_file"), "--data.path", "a.csv", "--data.nan_policy", "omit",
                       "--model.solver", solver, "--trainer.max_epochs", "3")  # fmt: skip
    assert done.code == 0
    assert done.fit["bse"] is None
    assert [note.split(" ")[0] for note in done.fit["notes"]][:2] == ["1", "undetermined:"]


def test_unix_time_by_gradient(command: Command) -> None:
    """The gradient solver, too, finds the slope over seconds since 1970: x is mapped in float64."""
    Path("a.csv").write_text("x,y\n" + "".join(f"{1_700_000_000 + k},{5 + 2 * k}\n" for k in range(10)))
    done = command("fit", "--model", "LineRegression", "--data", "TableDataModule", "--data.path", "a.csv",
                   "--model.updates_per_batch", "200", "--trainer.max_steps", "200")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.fit["params"][1] == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_large_y_by_gradient(command: Command, precision: str) -> None:
    """If float32 cannot hold the squares of y, the message names the precision that can, and that one is right."""
    Path("a.csv").write_text("x,y\n0,1e20\n1,3e20\n2,5e20\n")
    done = command("fit", "--model", "LineRegression", "--data", "TableDataModule", "--data.path", "a.csv",
                   "--trainer.max_steps", "100", "--trainer.precision", precision)  # fmt: skip
    if precision == "32-true":
        assert (done.code, done.folder, done.err.count("\n")) == (2, None, 1)
        assert "use --trainer.precision 64-true, --model.solver exact, or another unit of y" in done.err
    else:
        assert done.fit["params"] == pytest.approx([1e20, 2e20], rel=1e-6)


LINE = ("fit", "-c", config("line"))
POLYNOMIAL = (*LINE, "--model", "PolynomialRegression")
REFUSED_OPTIONS = [
    ((*POLYNOMIAL, "--model.degree", "five"), "--model.degree must be"),
    ((*LINE, "--data.batch_size", "-1"), "batch_size must be a whole number of at least 1, or null, got -1"),
    ((*LINE, "--data.num_workers", "-1"), "num_workers"),
    ((*LINE, "--data.seed", "-1"), "seed must be a whole number from 0"),
    ((*LINE, "--data.seed", str(2**40)), "seed must be a whole number from 0"),
    ((*LINE, "--seed_everything", "-1"), "seed_everything"),
    ((*LINE, "--seed_everything", str(2**40)), "seed_everything"),
    ((*LINE, "--trainer.max_epochs", "-5"), "max_epochs"),
    ((*LINE, "--trainer.precision", "99"), "precision"),
    ((*LINE, "--trainer.gradient_clip_val", "-1"), "gradient_clip_val"),
    ((*LINE, "--trainer.accelerator", "gpu"), "it has"),
    ((*LINE, "--trainer.devices", "-2"), "devices"),
    ((*LINE, "--trainer.strategy", "dpp"), "strategy"),
    ((*LINE, "--trainer.default_root_dir", "s3://b/r"), "must be a folder on this machine, got s3://b/r"),
    ((*LINE, "--ckpt_path", "last"), "no run in"),
    (("predict", "--ckpt_path", "best"), "no run in"),
    ((*LINE, "--model.level", "95"), "level must be between 0 and 1, got 95"),
    (("predict", "--ckpt_path", "a.json"), "cannot read the fit a.json"),
]


@pytest.mark.parametrize(("args", "words"), REFUSED_OPTIONS, ids=[" ".join(args[-2:]) for args, _ in REFUSED_OPTIONS])
def test_bad_options_cost_one_line(command: Command, args: tuple[str, ...], words: str) -> None:
    """An option out of its range, or that this machine cannot satisfy, is refused in at most three lines."""
    done = command(*args)
    assert (done.code, done.folder) == (2, None)
    assert words in done.err
    assert done.err.startswith("regression: ")
    assert done.err.count("\n") <= 3
    assert not re.search(r"(\w+) is not on this machine; did you mean \1", done.err)


def test_a_batch_may_be_larger_than_the_data(command: Command) -> None:
    """A batch size above the number of rows is one batch."""
    assert command(*LINE, "--data.batch_size", "500").fit["updates"] == 10


@pytest.mark.parametrize(
    ("option", "words"), [("--optimizer.lr", "learning rate is 0"), ("--trainer.max_epochs", "nothing was trained")]
)
def test_a_run_without_training_gives_a_warning(command: Command, option: str, words: str) -> None:
    """A learning rate of 0, or no epoch, is accepted with a warning that nothing was trained."""
    with pytest.warns(UserWarning, match=words):
        done = command(*LINE, option, "0")
    assert done.code == 0


def test_degree_50_on_11_points_gives_a_warning(command: Command) -> None:
    """More coefficients than points is a warning with the reason."""
    with pytest.warns(UndeterminedWarning, match="the points fix 11 of 51 coefficients"):
        few = command("fit", "-c", config("polynomial_exact"), "--model.degree", "50", "--data.points", "11",
                      "--data.high", "10")  # fmt: skip
    assert few.code == 0


def test_degree_50_on_enough_points_is_fitted(command: Command) -> None:
    """If the points determine degree 50 on 0 to 10, it is fitted without a message, with its condition."""
    many = command("fit", "-c", config("polynomial_exact"), "--model.degree", "50", "--data.points", "101",
                   "--data.high", "10")  # fmt: skip
    assert (many.code, many.err, many.fit["rank"]) == (0, "", 51)
    assert 1e3 < many.fit["condition_number"] < 1e5


def test_what_is_accepted_is_in_memory(tmp_path: Path) -> None:
    """The good file that the bad ones are made from is read."""
    good(tmp_path / "a.csv")
    data = TableDataModule(str(tmp_path / "a.csv"))
    data.setup("fit")
    assert isinstance(data.all, MemoryRows)
    assert (data.all.points.x.tolist(), data.all.points.y.tolist()) == (X, Y)
