"""Text as instruments, spreadsheets and Fortran write it: read by options, or without them if its form is certain."""

import bz2
import csv
import datetime as dt
import gzip
import io
import lzma
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from regression import TableDataModule, UsageError
from regression.data.files import column_names
from regression.data.table import Table
from regression.readers import standard_input
from regression.readers.clock import Clock
from regression.readers.columns import Column
from regression.readers.dialect import Dialect
from regression.text import csv_text
from regression.text.large_csv import open_plain
from tests.data.test_reader_fuzz import PIECES, Outcome, mutated, outcome
from tests.support.command import Command

ROWS = "0,1\n1,3.1\n2,4.9\n"
RIGHT = [[0, 1, 2], [1, 3.1, 4.9]]
READ: list[tuple[str, str | bytes, dict[str, Any], list[Column]]] = [
    ("comments above", "# probe 7\n#\n# t in s\nx,y\n" + ROWS, {}, ["x", "y"]),
    ("comments below, once there was one above", "# a\nx,y\n0,1\n  # b, \"c\"\n1,3.1\n2,4.9\n#", {}, ["x", "y"]),
    ("comments by another mark", "x,y\n% one\n" + ROWS + "%", {"comment": "%"}, ["x", "y"]),
    ("comments and carriage returns", "// a\rx,y\r// b\r0,1\r1,3.1\r2,4.9", {"comment": "//"}, ["x", "y"]),
    ("the header of numpy.savetxt", "# x,y\n" + ROWS, {}, ["x", "y"]),
    ("the same between blanks", "# run 3\n# x y\n" + ROWS.replace(",", " "), {}, ["x", "y"]),
    ("numbers of its columns", "# x y\n" + ROWS.replace(",", " "), {}, [1, 2]),
    ("lines above the header", "Probe 7\n\nx,y\n" + ROWS, {"skip_rows": 2}, ["x", "y"]),
    ("lines above a byte order mark", b"\xef\xbb\xbfProbe 7\r\nx,y\r\n" + ROWS.encode(), {"skip_rows": 1}, ["x", "y"]),
    ("units", "x,y\ns,m/s^2\n" + ROWS, {}, ["x", "y"]),
    ("units in brackets, and a column of text", "x,n,y\n[ms],-,(°C)\n0,a,1\n1,b,3.1\n2,c,4.9\n", {}, ["x", "y"]),
    ("unknown units", "x,y\n-,furlong\n" + ROWS, {"units_row": True}, ["x", "y"]),
    ("a delimiter after each row", "x,y\n" + ROWS.replace("\n", ",\n"), {}, ["x", "y"]),
    ("Excel's first line", '"sep=;"\r\nx;y\r\n' + ROWS.replace(",", ";"), {}, ["x", "y"]),
    ("Excel's first line of another delimiter", "sep=:\nx:y\n" + ROWS.replace(",", ":"), {}, ["x", "y"]),
    ("a delimiter of one's own", "x:y\n" + ROWS.replace(",", ":"), {"delimiter": ":"}, ["x", "y"]),
    ("tabs by name", "x,\ty\n" + ROWS.replace(",", "\t"), {"delimiter": "tab"}, ["x,", "y"]),
    ("blanks", "   x     y\n 0.0   1\n 1.0  3.1  \n\n\t2.0\t4.9\n", {}, ["x", "y"]),
    ("blanks in names", '"an x" y\n' + ROWS.replace(",", "  "), {"delimiter": "blanks"}, ["an x", "y"]),
    ("no header, numbers that are no names", ROWS, {}, [1, 2]),
    ("no header, numbers that might be names", "1,2\n1,3\n", {"header": "none"}, [1, 2]),
    ("a header of numbers", "2019,2020\n" + ROWS, {}, [2019, "2020"]),
    ("a header of small numbers", "1,2\n" + ROWS, {"header": "row"}, [1, 2]),
    ("lines of blanks", "x,y\n   \n" + ROWS + " \t\n", {}, ["x", "y"]),
    ("Fortran", "x,y\n0.0D+00,1.0d0\n1D+00,.31Q1\n2.d0,+49.D-1\n", {}, ["x", "y"]),
    ("decimal commas", "x;y\n0;1,0\n1,0;3,1\n20e-1;49,e-1\n", {"decimal": ","}, ["x", "y"]),
    ("thousands", 'x,y\n0,"1"\n1,"3.1"\n2,"4.9"\n', {"thousands": ","}, ["x", "y"]),
    ("columns that touch", "   x    y\n   0  1.0\n 1.003.10\n\n 2e0 4.9  \n", {"widths": "4,5"}, ["x", "y"]),
    ("fixed width without a header", "00001.0\n00103.1\n00204.9\n", {"widths": "3,4", "header": "none"}, [1, 2]),
    ("columns of other letters", "  µm   °C\n   0  1.0\n   1  3.1\n   2  4.9", {"widths": "4,5"}, ["µm", "°C"]),
    ("marks of missing numbers", "x,y\n0,1\n5,-999.0\n1,3.1\n-999, ?\n2,4.9\n,7\n", {"missing": "?,-999"}, ["x", "y"]),
]  # fmt: skip


def read(path: Path, columns: list[Column], **options: Any) -> list[list[float]]:
    """Return the columns of a file, without rows that miss a number."""
    table = Table(str(path), columns, nan_policy="omit", dialect=Dialect(**options))
    values: list[list[float]] = table.read(0, table.rows).tolist()
    return values


@pytest.mark.parametrize(("content", "options", "columns"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_a_dialect_is_read(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], columns: list[Column]
) -> None:
    """Each way to write the same points gives the same numbers."""
    (tmp_path / "a.dat").write_bytes(content if isinstance(content, bytes) else content.encode())
    right = [[1], [3]] if options == {"header": "none"} else RIGHT
    assert [column[-len(right[0]) :] for column in read(tmp_path / "a.dat", columns, **options)] == right
    names = column_names(str(tmp_path / "a.dat"), Dialect(**options)) if columns == ["x", "y"] else []
    assert names in ([], ["x", "y"], ["x", "n", "y"])


@pytest.mark.parametrize(
    ("mark", "decimal", "cells"),
    [
        (",", ".", ["1,234.5", "-12,345,678", "0.25", "+1,000e3"]),
        (".", ",", ["1.234,5", "-12.345.678", "0,25", "+1.000e3"]),
        (" ", ".", ["1\u202f234.5", "-12 345\u00a0678", "0.25", "+1\u2009000e3"]),
        ("'", ".", ["1'234.5", "-12'345'678", "0.25", "+1'000e3"]),
    ],
)
def test_thousands_are_read(tmp_path: Path, mark: str, decimal: str, cells: list[str]) -> None:
    """Groups of three digits are one number if their separator is given; a blank may be narrow."""
    (tmp_path / "a.csv").write_text("x;y\n" + "".join(f"1;{cell}\n" for cell in cells))
    assert read(tmp_path / "a.csv", ["y"], thousands=mark, decimal=decimal) == [[1234.5, -12345678, 0.25, 1e6]]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("x,y\n0,1\n# a\n2,3\n", {}, "data row 2 has 1 cell, the header has 2: give every row one cell for each "
     "column, and numbers a decimal point; if it is a comment, give --data.comment '#'"),
    ("% a\nx,y\n0,1\n", {}, "no column 'x' among '% a'; choose with --data.x and --data.y"
     "; line 2 names "
     "them: give --data.skip_rows 1"),
    ("x:y\n0:1\n", {}, "if the cells have another separator, give --data.delimiter"),
    ("# a\n# b\n", {}, "a.csv has no row below its comments: expected a header row"),
    ("x,y\n0,1\n", {"skip_rows": 9}, "a.csv has 2 lines: expected more than skip_rows 9"),
    ("x,y\n0,1\n", {"skip_rows": 1}, "a.csv has no header row: its first row holds only numbers"),
    ("0,1\n2,3\n", {}, "or number them, as in --data.header none --data.x 1 --data.y 2"),
    ("x,y\n0,1\n", {"header": "none", "x": 1, "y": 2}, "data row 1, column 'column 1', holds 'x' where a number is"),
    ("1,2\n2,3\n", {"x": 1, "y": 2}, "may be names or numbers: give --data.header row, or --data.header none"),
    ("x,y\n0,1\n", {"units_row": True}, "the row of units holds the number '0': leave out --data.units_row"),
    ("x,y\ns\n0,1\n", {"units_row": True}, "the row of units has 1 cell, the header has 2"),
    ("x,y\nbar,fo\n0,1\n", {}, "column 'x', holds 'bar' where a number is expected: correct it, or leave the cell "
     "empty and the row out with --data.nan_policy omit; a row of units needs --data.units_row true"),
    ("x,y\ns,V\n0,1\n", {"units_row": False}, "data row 1, column 'x', holds 's'"),
    ("x,y\n0,1,\n2,3,4\n", {}, "data row 1 has 3 cells, the header has 2"),
    ("x,y\n0,1\n", {"delimiter": ";"}, "there is no column 'x' among 'x,y'"),
    ("  x  y\n  0  1 2\n", {"widths": "3,3"}, "data row 1 has 3 cells, the header has 2: something stands "
     "behind the last of 3,3: give --data.widths of all columns, or correct the row"),
    ("  x  y\n  01 2\n", {"widths": "3,3"}, "data row 1, column 'y', holds '1 2' where a number is expected"),
    ("x,y\n0,1\n", {"widths": "2,2"}, "there is no column 'x' among 'x,'"),
    ("x y\n0 1 2\n3 4\n", {"delimiter": "blanks"}, "data row 1 has 3 cells, the header has 2"),
    ("x;y\n0;1,5\n2;2.5\n", {"decimal": ","}, "data row 2, column 'y', holds '2.5' where a number is expected with the "
     "decimal sign ',', as --data.decimal says"),
    ("x;y\n0;1,5\n", {}, "say what stands there with --data.decimal and --data.thousands"),
    ('x,y\n0,"1,00"\n', {"thousands": ","}, "data row 1, column 'y', holds '1,00'"),
    ('x,y\n0,"1,0000"\n', {"thousands": ","}, "data row 1, column 'y', holds '1,0000'"),
    ("x;y\n0;1.5.000\n", {"thousands": ".", "decimal": ","}, "data row 1, column 'y', holds '1.5.000'"),
    ("x,y\n0,1D5\n", {}, "data row 1, column 'y', holds '1D5' where a number is expected: write exponents with an E"),
    ("x,y\n0,NA\n", {"missing": "-999"}, "data row 1, column 'y', holds 'NA' where a number is expected"),
    ("x,y\n0,-999\n", {"missing": "-999"}, "column 'y' must be finite, got a missing number in data row 1"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "options", "words"), REFUSED, ids=[f"{case[1]} {case[0]}" for case in REFUSED])
def test_what_does_not_fit_is_refused(tmp_path: Path, content: str, options: dict[str, Any], words: str) -> None:
    """An option that does not fit its file, and an uncertain dialect, are refused in one line with advice."""
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UsageError) as refusal:
        TableDataModule(str(tmp_path / "a.csv"), **options).setup("fit")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("lines", "hint"), [(49, "; line 51 names them: give --data.skip_rows 50"), (50, "")])
def test_the_row_of_names_is_looked_for_in_fifty_lines(tmp_path: Path, lines: int, hint: str) -> None:
    """Names that are wanted are found up to fifty lines below the first one, and not further down."""
    (tmp_path / "a.csv").write_text("% a\n" + "z\n" * lines + "x,y\n0,1\n")
    with pytest.raises(UsageError, match=r"no column 'x' among '% a'") as refusal:
        TableDataModule(str(tmp_path / "a.csv")).setup("fit")
    assert str(refusal.value).endswith(hint or "give --data.delimiter")


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"comment": "# "}, "comment must be auto, or a text without blanks such as #, got '# '"),
    ({"skip_rows": -1}, "skip_rows must be a whole number of at least 0, got -1"),
    ({"header": "yes"}, "header must be one of auto, row, none, got 'yes'"),
    ({"units_row": "yes"}, "units_row must be true or false, or null, got 'yes'"),
    ({"delimiter": "ab"}, "delimiter must be a character, tab, blanks or auto, got 'ab'"),
    ({"decimal": ";"}, "decimal must be a point or a comma, got ';'"),
    ({"thousands": "x"}, "thousands must be one of"),
    ({"widths": "3,0"}, "widths must be whole numbers above 0 with commas between them, such as 8,10,10, got '3,0'"),
    ({"widths": "3,x"}, "widths must be whole numbers above 0"),
    ({"widths": [3, 4]}, "widths must be whole numbers above 0"),
    ({"widths": "3,4", "delimiter": ";"}, "widths 3,4 say where cells end: leave out delimiter ;"),
    ({"missing": -999}, "missing must be a text, got -999"),
    ({"thousands": "."}, "thousands and decimal must differ, got '.' for both"),
    ({"delimiter": ",", "decimal": ","}, "delimiter and decimal must differ, got ',' for both"),
    ({"units_row": True, "header": "none"}, "units_row needs a header row above it: leave out header none"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=[words[:30] for _, words in OPTIONS])
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    """Wrong values of options, and options that contradict each other, are refused before the file is opened."""
    with pytest.raises(UsageError) as refusal:
        TableDataModule("a.csv", **options)
    assert words in str(refusal.value)


def test_a_table_that_is_no_text_takes_no_options_of_text(tmp_path: Path) -> None:
    """Options for text, which have no effect on other formats, are refused for these."""
    parquet.write_table(pa.table({"x": [1.0, 2], "y": [1.0, 2]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"a\.parquet is no text: leave out --data\.comment and --data\.decimal"):
        TableDataModule(str(tmp_path / "a.parquet"), comment="#", decimal=",").setup("fit")


def zstd(content: bytes) -> bytes:
    """Return bytes packed with Zstandard."""
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(content)
    return bytes(packed.getvalue())


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstd)]
)
def test_packed_text_is_read(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    """Text in each compression is read by its first bytes, also if it has two parts; a truncated file is refused."""
    path, text = tmp_path / f"a.csv.{ending}", b"# a\r\nx,y\r\ns,V\r\n" + ROWS.encode()
    path.write_bytes(pack(text[:20]) + pack(text[20:]))
    assert read(path, ["x", "y"]) == RIGHT
    assert column_names(str(path)) == ["x", "y"]
    path.write_bytes(pack(text * 9)[:-9])
    with pytest.raises(UsageError, match=f"a.csv.{ending}"):
        read(path, ["x", "y"])


@pytest.mark.parametrize("content", ["# one\n# two\nx,y\n", "x,y\ns,V\n", "0,0\n"])
def test_large_text_of_a_dialect_is_parsed_quickly(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick parser starts after comments, names and units, and gives the numbers of the strict one."""
    (tmp_path / "a.csv").write_text(content + "".join(f"{k / 7!r},{k / 3!r}\n" for k in range(500)))
    slow, found = read(tmp_path / "a.csv", [1, 2]), list[object]()

    def noted(*args: Any) -> Any:
        found.append(open_plain(*args, large_bytes=0, piece_bytes=999))
        return found[-1]

    monkeypatch.setattr(csv_text, "open_plain", noted)
    assert read(tmp_path / "a.csv", [1, 2]) == slow
    assert (len(found), found[0] is not None, len(slow[0])) == (1, True, 501 if content == "0,0\n" else 500)


@pytest.mark.parametrize(
    ("content", "axes"),
    [
        ("x,y\ns,mV\n" + ROWS, ("x (s)", "y (mV)")),
        ("x,y\n[s],-\n" + ROWS, ("x (s)", "y (-)")),
        (ROWS, ("column 1", "column 2")),
        ("# t,u\n" + ROWS, ("t", "u")),
    ],
)
def test_axes_have_their_units(tmp_path: Path, content: str, axes: tuple[str, str]) -> None:
    """The names of the axes are those of the header, with the units below it, or the numbers of the columns."""
    (tmp_path / "a.csv").write_text(content)
    data = TableDataModule(str(tmp_path / "a.csv"), 1, 2, units_row=True if "-" in content else None)
    data.setup("fit")
    assert data.axes == axes


def test_the_command_takes_a_dialect(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The short command finds the columns of a dialect, a path may begin with ~, and a checkpoint keeps the options."""
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("a.dat").write_text("Probe\nt/u\n0/1,5\n1/3,5\n2/5,5\n")
    options = ("--data.skip_rows", "1", "--data.delimiter=/", "--data.decimal", ",")
    refused = command("fit", "~/a.dat")
    assert "a.dat has one column, 'Probe': say what stands above the names with --data.skip_rows" in refused.err
    done = command("fit", "~/a.dat", *options)
    assert (done.code, done.fit["params"], done.fit["axes"]) == (0, pytest.approx([1.5, 2]), ["t", "u"])
    assert "u against t, 3 rows of a.dat" in done.out
    predicted = command("predict", "--ckpt_path", "last")
    assert (predicted.code, predicted.err) == (0, "")


@pytest.mark.parametrize("option", [("--data.comment", "#"), ("--data.comment=#", "--data.missing", "?")])
def test_signs_that_yaml_would_drop_are_options(command: Command, option: tuple[str, ...]) -> None:
    """A mark that begins a comment in YAML is taken literally on the command line."""
    Path("a.csv").write_text("x,y\n0,1\n# 7,7\n1,3\n2,5\n")
    done = command("fit", "a.csv", *option)
    assert (done.code, done.fit["params"]) == (0, pytest.approx([1, 2]))


@pytest.mark.parametrize("option", [("--data.sigma", "#s"), ("--data.series=#s",), ("--sigma", "?s")])
def test_a_column_may_begin_with_a_sign_of_yaml(command: Command, option: tuple[str, ...]) -> None:
    """An optional column is looked up by its whole name, and not silently left out."""
    Path("a.csv").write_text("x,y,s\n0,1,1\n1,3,1\n2,5,1\n")
    done = command("fit", "a.csv", *option)
    assert (done.code, done.folder) == (2, None)
    assert f"there is no column '{option[-1][-2:]}' among 'x', 'y', 's'; did you mean 's'?" in done.err


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of - is standard input, which can be read several times; if there is none, it is refused."""
    packed = io.TextIOWrapper(io.BytesIO(gzip.compress(("x,y\n" + ROWS).encode())))
    for stream in (packed, None):
        standard_input._copy.cache_clear()
        monkeypatch.setattr("sys.stdin", stream)
        data = TableDataModule("-")
        if stream is None:
            with pytest.raises(UsageError, match="path is -, and nothing comes through standard input: pipe a table"):
                data.setup("fit")
            continue
        for _ in range(2):
            data.setup("fit")
            assert (data.all.block(0).x.tolist(), data.provenance) == ([0, 1, 2], "3 rows of standard input")
    standard_input._copy.cache_clear()


TEXTS = [
    (b"# a b\n# x y\n1 2\n 3.5\t-4e3\n-0.25  +7\n", {"sep": r"\s+", "comment": "#", "names": ["x", "y"]}),
    (b"#\nx  y\n1 2.0\n#3 4\n5  6\n\n7 8\n", {"sep": r"\s+", "comment": "#"}),
    (b"# one\nx,y\n1,2,\n3,4,\n5.5,6,\n", {"comment": "#", "index_col": False}),
    (b"sep=;\nx;y\ns;V\n1;2\n3;4\n", {"sep": ";", "skiprows": [0, 2]}),
]


@pytest.mark.parametrize("which", range(len(TEXTS)))
def test_mutated_dialects(tmp_path: Path, which: int) -> None:
    """Of 60 mutated texts each is refused in one line, or has the finite numbers that a lenient reader finds in it."""
    content, options = TEXTS[which]
    accepted = 0
    for seed in range(60):
        text = mutated(content, seed, [*PIECES, b"#", b"# ", b"s", b"  "])
        (tmp_path / "a.csv").write_bytes(text)
        table = outcome(tmp_path / "a.csv")
        if table is None:
            continue
        accepted += 1
        assert np.isfinite(table).all()
        if b'"' not in text and b"\r" not in text and text.count(b"\n") == content.count(b"\n"):
            other = pd.read_csv(io.BytesIO(text), encoding_errors="replace", engine="python", **options)  # type: ignore[call-overload]
            numbers = [
                pd.to_numeric(other[name], errors="coerce").dropna().tolist() for name in ("x", "y") if name in other
            ]
            assert all(
                math.isclose(a, b)
                for got, right in zip(table, numbers, strict=False)
                for a, b in zip(got, right, strict=True)
            )
    assert accepted >= 3


def test_mutated_columns_of_fixed_width(tmp_path: Path) -> None:
    """Of 80 mutated texts of fixed width each is refused in one line, or is read as another reader reads it."""
    content, accepted = b"   x    y\n   0  1.0\n1.25 -4e3\n   2-0.25\n", 0
    for seed in range(80):
        text, found = mutated(content, seed, [b" ", b"1", b".", b"-", b"\n", b"x", b"\xff", b"\t"]), None
        (tmp_path / "a.txt").write_bytes(text)
        with Outcome():
            found = read(tmp_path / "a.txt", ["x", "y"], widths="4,5")
        if found is None:
            continue
        accepted += 1
        lines = [line for line in text.decode().splitlines() if line.strip()][1:]
        cells = [(line[:4].strip(), line[4:9].strip()) for line in lines]
        assert found == [list(map(float, column)) for column in zip(*[row for row in cells if all(row)], strict=True)]
    assert accepted >= 10


def test_mutated_instants(tmp_path: Path) -> None:
    """Of 150 mutated texts with instants each is refused in one line, or has the hours that Python finds in it."""
    content, accepted = b"x,y\n2024-01-01,1\n2024-01-01T06:30,2\n2024-01-02 12:00:00.5,3\n", 0
    for seed in range(150):
        text, found = mutated(content, seed, [b"0", b"1", b"-", b":", b"Z", b"+01", b"T", b" ", b"\n", b","]), None
        (tmp_path / "a.csv").write_bytes(text)
        clock = Clock("h")
        with Outcome():
            table = Table(str(tmp_path / "a.csv"), ["x", "y"], clock=clock)
            found = table.read(0, table.rows)[0].tolist()
        if found is not None and "x" in clock.scales:
            accepted += 1
            rows = filter(None, csv.reader(text.decode().splitlines()[1:]))
            times = [dt.datetime.fromisoformat(row[0].strip()) for row in rows]
            assert found == [(time - min(times)) / dt.timedelta(hours=1) for time in times]
    assert accepted >= 10
