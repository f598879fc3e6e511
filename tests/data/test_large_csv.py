"""Large plain text: the quick parser gives the bits of the strict one, or leaves the file to it."""

import os
import random
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal, localcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from regression import TableDataModule
from regression.common.errors import DataError, Stopped, UsageError
from regression.data.table import Table
from regression.readers.columns import Wanted
from regression.readers.source import Source
from regression.text import csv_text, large_csv
from regression.text.large_csv import open_plain
from tests.data.test_bad_inputs import REFUSED_FILES
from tests.data.test_reader_fuzz import PIECES, TEXTS, mutated, require_right

Outcome = NDArray[np.float64] | str
GAPS = [b"\n\n", b"\r,", b",\r", b",,", b" ,", b", ", b"\r\r\n", b"\x0b", b"\x1a", b"#", b"infinity", b"9" * 20]


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Try the quick parser on files of any size, in pieces of a few rows; return whether it read each of them."""
    answers = []

    def noted(*args: Any) -> Any:
        answers.append((columns := open_plain(*args, large_bytes=0, piece_bytes=20)) is not None)
        return columns

    monkeypatch.setattr(csv_text, "open_plain", noted)
    return answers


def numbers(path: Path, columns: list[str]) -> NDArray[np.float64]:
    """Return the table of a file, missing and infinite numbers included."""
    table = csv_text.read_text(Source(path), Wanted(columns))
    return np.concatenate([np.empty((len(columns), 0)), *map(np.stack, table.parts(0, table.rows))], axis=1)


def outcome(path: Path, columns: list[str]) -> Outcome:
    """Return the table of a file, or the message of its refusal."""
    try:
        return numbers(path, columns)
    except DataError as refusal:
        return str(refusal)


def require_same(path: Path, columns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a file is read, or refused, as without the quick parser."""
    quick = outcome(path, columns)
    with monkeypatch.context() as patch:
        patch.setattr(csv_text, "open_plain", lambda *_: None)
        strict = outcome(path, columns)
    if isinstance(quick, str) or isinstance(strict, str):
        assert quick == strict, path.read_bytes()
    else:
        assert np.nan_to_num(quick, nan=7.5).tobytes() == np.nan_to_num(strict, nan=7.5).tobytes(), path.read_bytes()


def drawn(draw: random.Random) -> tuple[bytes, list[str]]:
    """Return a small plain text, often a little damaged, and columns to read."""
    width, delimiter, end = draw.choice([1, 2, 2, 3]), draw.choice(",;\t|"), draw.choice(["\n", "\n", "\r\n", "\r"])
    forms = (
        lambda: repr(draw.gauss(0, 1)),
        lambda: str(draw.randrange(-999, 999)),
        lambda: f"{draw.gauss(0, 1e9):.{draw.randrange(25)}f}",
        lambda: f"{draw.choice('+- ')}{draw.random():.20e}",
        lambda: draw.choice(["1.", ".5", "-.5E-3", "00", "-0", "1e999", "1e-400", "5e-324", "nan", "inf"]),
    )
    rows = [delimiter.join(draw.choice(forms)() for _ in range(width)) for _ in range(draw.randrange(9))]
    text = end.join([delimiter.join(["x", "y", '"z"'][:width]), *rows]) + draw.choice(["", end])
    content = draw.choice([b"", b"\xef\xbb\xbf", b"\n"]) + text.encode()
    columns = draw.sample(["x", "y", "z"][:width], width)
    return (mutated(content, draw.randrange(2**32), PIECES + GAPS) if draw.random() < 0.7 else content), columns


@pytest.mark.parametrize("share", [*range(2), *(pytest.param(k, marks=pytest.mark.slow) for k in range(2, 40))])
def test_drawn_texts(tmp_path: Path, forced: list[bool], monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    """300 texts, most of them a little damaged, are read to the same bits or refused with the same message."""
    for seed in range(300 * share, 300 * (share + 1)):
        content, columns = drawn(random.Random(seed))
        (tmp_path / "a.csv").write_bytes(content)
        require_same(tmp_path / "a.csv", columns, monkeypatch)
    assert forced.count(True) > 40
    assert forced.count(False) > 40


def test_mutated_texts(tmp_path: Path, forced: list[bool]) -> None:
    """The texts of the reader's own fuzz test are read as there if the quick parser is tried first."""
    for seed in range(400):
        content = mutated(TEXTS[seed % len(TEXTS)], seed, PIECES)
        (tmp_path / "a.csv").write_bytes(content)
        require_right(content, tmp_path / "a.csv")
    assert True in forced


TEXT_CASES = [case for case in REFUSED_FILES if case[0] == "a.csv" and not callable(case[1])]


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize(("name", "content", "words"), TEXT_CASES, ids=[case[2][:50] for case in TEXT_CASES])
def test_bad_files_are_refused_in_the_same_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: Any, words: str
) -> None:
    """A large file is refused with the message of a small one, and the quick parser prints nothing."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as refusal:
        TableDataModule(str(tmp_path / name)).setup("fit")
    assert words in str(refusal.value)
    assert capfd.readouterr() == ("", "")


def halfway() -> Iterator[str]:
    """Yield decimals halfway between two float64 numbers, and next to it."""
    draw = random.Random(11)
    with localcontext() as context:
        context.prec = 1100
        for _ in range(200):
            low = draw.uniform(1, 2) * 2.0 ** draw.randrange(-1070, 1000)
            middle = f"{(Decimal(low) + Decimal(float(np.nextafter(low, np.inf)))) / 2:f}"
            yield from (middle, middle + ("1" if "." in middle else ".01"), middle[:-1])


CELLS = [
    *("+1", " 1", "\t1", "1.", ".5", "-.5", "1e5", "1E5", "1e+05", "1E400", "-1e400", "1e-400", "-0", "00012", "1.e1"),
    *("1" * 400, "0." + "1" * 400, "0" * 1000 + "1", "1" * 400 + "e-400", "1e23", "9007199254740993", "5e-324"),
    *("2e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "0e99999999999", "1e-99999999999", "inf"),
]


def test_each_number_is_the_nearest_float64(tmp_path: Path, forced: list[bool]) -> None:
    """Every form of a number, long ones and those between two floats too, is read as Python's float reads it."""
    cells = [f"{cell}." if cell.isdecimal() else cell for cell in (*CELLS, *halfway())]  # long whole ones are left
    (tmp_path / "a.csv").write_text("x\n" + "\n".join(cells))
    table = numbers(tmp_path / "a.csv", ["x"])
    assert forced == [True]
    assert table.tobytes() == np.array([float(cell) for cell in cells]).tobytes()


@pytest.mark.parametrize(
    ("cell", "is_kept"),
    [
        ("9007199254740992", True), ("9007199254740993", False), ("-9007199254740993", False), ("9" * 400, True),
        ("1700000000123456789", False), ("1700000000123456800", True), ("1" + "0" * 22, True), ("+1" + "0" * 16, True),
        ("1700000000123456789.0", True), ("1700000000123456789e0", True), ("00000000000000012345", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_large", [False, True])
def test_whole_numbers_keep_their_digits_or_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, is_kept: bool, is_large: bool
) -> None:
    """A whole number that float64 would write with other digits is refused, whatever the size of the file."""
    monkeypatch.setattr(csv_text, "open_plain", partial(open_plain, large_bytes=0 if is_large else 1 << 40))
    (tmp_path / "a.csv").write_text(f"x,y\n1,2\n0.5,{cell}\n")
    words = rf"data row 2, column 'y', holds '{re.escape(cell)}', which float64 rounds to \S+: subtract an offset first"
    with nullcontext() if is_kept else pytest.raises(UsageError, match=words):
        assert numbers(tmp_path / "a.csv", ["x", "y"])[1].tolist() == [2, float(cell)]


@pytest.mark.parametrize("cell", ["1_0", "0x10", "1d5", "1 ", "١", "１", "1e", "-", "e5", "1\x00", "1.5.5", "1,5", ""])
def test_cells_that_are_no_plain_numbers_are_left(tmp_path: Path, forced: list[bool], cell: str) -> None:
    """Other forms of numbers, and empty cells, are left to the strict parser, whose message names the row."""
    (tmp_path / "a.csv").write_text(f"x;y\n1;2\n{cell};3\n")
    outcome(tmp_path / "a.csv", ["x", "y"])
    assert forced == [False]


@pytest.mark.parametrize(
    "rows",
    [
        *(b'1,"2"\n', b"1,\n", b"1\n", b"1,2,3\n", b"1,2,\n", b"\n1,2\n", b"1,2\n\n", b"  \n1,2\n", b"\n"),
        *(b"1,2\r3,4\r", b"1\r,2\n", b"1,2\r\r\n", b"\xef\xbb\xbf1,2\n", b"1,2\n" * 4 + b"\xef\xbb\xbf1,2\n"),
        *(b"1,2\n#3,4\n", b"1,2\n\x00", b"1,2\n3,\xff\n", b"1,2\n3,4\n5,NA\n", b"1,2\n\x1a"),
    ],
)
def test_odd_rows_are_left(tmp_path: Path, forced: list[bool], monkeypatch: pytest.MonkeyPatch, rows: bytes) -> None:
    """Quotation marks, missing cells, short, long and blank rows, other line ends are left to the strict parser."""
    (tmp_path / "a.csv").write_bytes(b"x,y\n" + rows)
    require_same(tmp_path / "a.csv", ["x", "y"], monkeypatch)
    assert True not in forced or b"\n\n" in b"\n" + rows  # older polars drops blank first lines of a piece


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (b'"y, y";x\n1;2\n3;4', True),
        (b"\xef\xbb\xbf\n\r\n \ny, y\tx\r\n1\t2\r\n3\t4\r\n", True),
        (b"y, y|x\r1|2\n3|4\n", True),
        (b"y, y|x|z\n1|2|5\n3|4|5\n", False),
    ],
    ids=["quoted header", "lines of Windows", "old header", "a third column"],
)
def test_plain_text_is_taken(tmp_path: Path, forced: list[bool], content: bytes, taken: bool) -> None:
    """The quick parser gives the columns in the wanted order; it is not used if a column is not wanted."""
    (tmp_path / "a.csv").write_bytes(content)
    table = numbers(tmp_path / "a.csv", ["x", "y, y", "x"])
    assert forced == [taken]
    assert table.tolist() == [[2, 4], [1, 3], [2, 4]]


def test_a_large_file_is_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick parser gives every row, in order, from several pieces, as views of the parsed chunks."""
    read_csv, pieces = pl.read_csv, []
    monkeypatch.setattr(pl, "read_csv", lambda *args, **options: pieces.append(args) or read_csv(*args, **options))
    values = np.random.default_rng(3).normal(size=(200_000, 2))
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{a!r},{b!r}\n" for a, b in values.tolist()))
    columns = open_plain(Source(tmp_path / "a.csv"), 4, ",", 2, [0, 1], range(1 << 40), large_bytes=1 << 20)
    assert columns is not None
    assert 1 < len(pieces) <= large_csv.LEAST_PIECES
    parts = list(columns.parts(0, columns.rows))
    assert np.array_equal(np.concatenate(list(map(np.stack, parts)), axis=1), values.T)
    again = next(iter(columns.parts(0, columns.rows)))
    assert all(np.shares_memory(first, second) for first, second in zip(parts[0], again, strict=True))


@pytest.mark.usefixtures("forced")
def test_any_rows_can_be_read(tmp_path: Path) -> None:
    """Parts that begin and end anywhere are joined from the pieces, and the range of all is known."""
    values = np.random.default_rng(5).normal(size=(40, 2))
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{a!r},{b!r}\n" for a, b in values.tolist()))
    table = Table(str(tmp_path / "a.csv"), ["x", "y"])
    for start, stop in ((0, 3), (3, 6), (4, 5), (6, 38), (0, 40), (7, 7)):
        assert np.array_equal(table.read(start, stop), values[start:stop].T)
    ends = table.extremes()
    assert ends is not None
    assert np.array_equal(ends, np.stack([values.min(axis=0), values.max(axis=0)], axis=1))


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("row", range(7))
def test_the_range_hides_no_number_that_is_not_finite(tmp_path: Path, cell: str, row: int) -> None:
    """A number that is not finite is refused in any row, also after a call of ``extremes``."""
    rows = ["1,2"] * 7
    rows[row] = f"1,{cell}"
    (tmp_path / "a.csv").write_text("\n".join(["x,y", *rows]))
    table = Table(str(tmp_path / "a.csv"), ["x", "y"])
    assert table.extremes() is None
    with pytest.raises(DataError, match=f"data row {row + 1}"):
        table.read(row, row + 1)


@pytest.mark.parametrize("header", ["x,y", "x"])
@pytest.mark.parametrize("size", [1 << 20, large_csv.ROW_BYTES - 100, large_csv.ROW_BYTES + 100, 9 << 20])
def test_long_rows_get_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, header: str) -> None:
    """A row of 4 MiB is the longest that either parser reads, and none is read as two rows."""
    monkeypatch.setattr(csv_text, "open_plain", partial(open_plain, large_bytes=0))
    columns = header.split(",")
    first, last = ("1,", "3,4\n") if len(columns) == 2 else ("", "5\n")
    (tmp_path / "a.csv").write_text(f"{header}\n{first}{'0' * size}2\n" + last * 5)
    require_same(tmp_path / "a.csv", columns, monkeypatch)


def test_small_files_need_no_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is read without polars, whose import would take longer than the file."""
    monkeypatch.setitem(sys.modules, "polars", None)  # an import would fail
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    assert numbers(tmp_path / "a.csv", ["x", "y"]).tolist() == [[1], [2]]


@pytest.mark.parametrize("error", [pl.exceptions.PanicException, pl.exceptions.ComputeError, OSError, UserWarning])
def test_whatever_polars_raises_the_strict_parser_decides(
    tmp_path: Path, forced: list[bool], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """After an error of polars, or a panic, the strict parser reads the file."""

    def failing(*_: Any, **__: Any) -> None:
        raise error("of polars")

    monkeypatch.setattr(pl, "read_csv", failing)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    table = numbers(tmp_path / "a.csv", ["x", "y"])
    assert forced == [False]
    assert table.tolist() == [[1], [2]]


@pytest.mark.usefixtures("forced")
def test_a_signal_is_not_taken_for_an_error_of_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while threads parse ends the run, and they end with it."""
    read_csv, seen = pl.read_csv, []

    def signalling(*args: Any, **options: Any) -> pl.DataFrame:
        if not seen:
            os.kill(os.getpid(), signal.SIGUSR2)
        seen.append(args)
        return read_csv(*args, **options)

    def stop(signum: int, _: object) -> None:
        raise Stopped(signum)

    monkeypatch.setattr(pl, "read_csv", signalling)
    (tmp_path / "a.csv").write_text("x,y\n" + "1,2\n" * 100_000)
    before = signal.signal(signal.SIGUSR2, stop)
    try:
        with pytest.raises(Stopped, match=str(128 + signal.SIGUSR2)):
            numbers(tmp_path / "a.csv", ["x", "y"])
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert 0 < len(seen) < 20_000
