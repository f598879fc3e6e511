"""Any bytes give the finite table that another strict reader gives, or one ``DataError``, and nothing else."""

import csv
import gzip
import io
import random
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import parquet

from regression.common.errors import DataError
from regression.data.table import Table

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", flags=re.ASCII)
TEXTS = [
    b"x,y\n1,2\n3.5,-4e3\n-0.25,+7\n",
    b"x;y;name\r\n1;2;a\r\n3;4;b\r\n\r\n",
    b'\xef\xbb\xbfx\ty\n"1"\t2\n3\t"4"\n',
    b'"x","y","a ""quoted"" name"\n1,2,"3,4"\n5,6,"7"\n',
    b"x|y\r1|2\r3|4",
]
PIECES = [
    *(b",", b";", b"\t", b"|", b'"', b'""', b"\r", b"\n", b"\r\n", b"\x00", b"\xff", b" ", b"-", b"+", b".", b"e"),
    *(b"1e999", b"0x1p3", b"1_0", b"nan", b"inf", b"NA", b"\xd9\xa1", b"\xef\xbb\xbf", b"1,000", b"'", b"\\"),
]


def mutated(content: bytes, seed: int, pieces: list[bytes]) -> bytes:
    """Return the content with a few bytes flipped, removed, doubled, or something put between them."""
    draw, result = random.Random(seed), bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at, size = draw.randrange(len(result) + 1), draw.randint(0, 4)
        kind = draw.randrange(4)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del result[at : at + size]
        elif kind == 2:
            result[at:at] = result[at : at + size]
        else:
            result[at:at] = draw.choice(pieces)
    return bytes(result)


def strict(content: bytes) -> list[NDArray[np.float64]]:
    """Return what a strict reader makes of a text: the table for each delimiter that gives one."""
    found = []
    text = content.decode(errors="surrogateescape").removeprefix("\ufeff")
    for delimiter in (",", ";", "\t", "|"):
        lines = io.StringIO(text, newline="")
        rows: list[list[str]] = [[]]
        with suppress(csv.Error):  # no table with this delimiter
            rows = [
                row
                for row in csv.reader(lines, delimiter=delimiter, strict=True)
                if "".join(row).strip(" \t") or len(row) > 1
            ]
        if {"x", "y"} <= set(rows[0]) and all(len(row) == len(rows[0]) for row in rows):
            wanted = [rows[0].index(name) for name in ("x", "y")]
            cells = [[row[k].strip(" \t") for k in wanted] for row in rows[1:]]
            if all(NUMBER.fullmatch(cell) for row in cells for cell in row):
                found.append(np.array([[float(cell) for cell in row] for row in cells]).reshape(-1, 2).T)
    return found


class Outcome:
    """Accepts a ``DataError`` of one line, and no other exception."""

    table: NDArray[np.float64] | None = None

    def __enter__(self) -> "Outcome":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if kind is None:
            return False
        return issubclass(kind, DataError) and "\n" not in str(error)


def outcome(path: Path) -> NDArray[np.float64] | None:
    """Return the table of a file, or ``None`` where it is refused by a DataError of one line."""
    with Outcome() as result:
        table = Table(str(path), ["x", "y"])
        result.table = table.read(0, table.rows)
    return result.table


def require_right(content: bytes, path: Path) -> bool:
    """Check the outcome of a text, and tell whether it was accepted."""
    table = outcome(path)
    if table is None:
        return False
    assert np.isfinite(table).all()
    assert any(np.array_equal(table, other) for other in strict(content)), content
    return True


@pytest.mark.parametrize("share", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2, 3))])
def test_mutated_texts(tmp_path: Path, share: int) -> None:
    """A quarter of 2,400 mutated texts are read as a strict reader reads them, or refused; both happen often."""
    accepted = 0
    for seed in range(share, 2400, 4):
        content = mutated(TEXTS[seed % len(TEXTS)], seed, PIECES)
        path = tmp_path / ("a.csv.gz" if seed % 7 == 0 else "a.csv")
        path.write_bytes(gzip.compress(content) if seed % 7 == 0 else content)
        accepted += require_right(content, path)
    assert 30 < accepted < 500


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True
)
@given(body=st.lists(st.sampled_from([*PIECES, b"1", b"2.5", b"1,2\n", b"\n3,4\n"]), max_size=12).map(b"".join))
def test_drawn_texts(tmp_path: Path, body: bytes) -> None:
    """Any text after a header is read as a strict reader reads it, or refused."""
    (tmp_path / "a.csv").write_bytes(b"x,y\n" + body)
    require_right(b"x,y\n" + body, tmp_path / "a.csv")


def write_arrow(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def write_stream(path: Path, table: pa.Table) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


BINARY: dict[str, Callable[[Path, pa.Table], object]] = {
    "a.parquet": lambda path, table: parquet.write_table(table, path),
    "a.arrow": write_arrow,
    "a.arrows": write_stream,
    "a.npy": lambda path, table: np.save(path, np.stack([table["x"], table["y"]], 1)),
    "a.npz": lambda path, table: np.savez(path, x=table["x"], y=table["y"]),
}


# Other ways to read the same files, whole: of pyarrow and numpy.
COLUMNS = {
    "times": (pa.array([0, 5, None, 86_400], pa.timestamp("s", "UTC")), "x"),
    "days": (pa.array([0, 5, 2, 7], pa.date32()), "x"),
    "durations": (pa.array([0, 5, 2, 7], pa.duration("ms")), "x"),
    "nested": (pa.array([{"a": {"b": 1.0}}, None, {"a": None}, {"a": {"b": 2.0}}]), "x.a.b"),
    "dictionary": (pa.array([1.5, 2.5, None, 1.5]).dictionary_encode(), "x"),
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_mutated_columns(tmp_path: Path, name: str, column: str) -> None:
    """Damaged files with times, nested columns and dictionaries give finite numbers or one refusal, and no crash."""
    path, (values, wanted) = tmp_path / name, COLUMNS[column]
    BINARY[name](path, pa.table({"x": values, "y": [2.5, -1, 1e300, 0]}))
    good = path.read_bytes()
    for seed in range(60):
        path.write_bytes(mutated(good, seed, [b"\x00", b"\xff\xff\xff\xff", b"PAR1", good[:8]]))
        with Outcome() as result:
            table = Table(str(path), [wanted, "y"], nan_policy="omit")
            result.table = table.read(0, table.rows)
        assert result.table is None or np.isfinite(result.table).all()


STRICT: dict[str, Callable[[Path], list[Any]]] = {
    "a.parquet": lambda path: [*parquet.read_table(path, memory_map=True).select(["x", "y"]).columns],
    "a.arrow": lambda path: [*pa.ipc.open_file(path.read_bytes()).read_all().select(["x", "y"]).columns],
    "a.arrows": lambda path: [*pa.ipc.open_stream(path.read_bytes()).read_all().select(["x", "y"]).columns],
    "a.npy": lambda path: [*np.load(path).T],
    "a.npz": lambda path: [np.load(path)[name] for name in ("x", "y")],
}


@pytest.mark.parametrize("name", BINARY)
def test_mutated_binary_files(tmp_path: Path, name: str) -> None:
    """150 damaged files of each kind give the finite table that another reader gives, or one refusal, and no crash."""
    path = tmp_path / name
    BINARY[name](path, pa.table({"x": [1.0, 2, 3, 4], "y": [2.5, -1, 1e300, 0]}))
    good = path.read_bytes()
    for seed in (*range(150), 2038):  # the last one gives a Parquet file a negative number of rows
        path.write_bytes(mutated(good, seed, [b"\x00", b"\xff\xff\xff\xff", b"PAR1", good[:8]]))
        table = outcome(path)
        if table is not None:
            assert np.isfinite(table).all()
            np.testing.assert_array_equal(table, np.array([np.asarray(column) for column in STRICT[name](path)]))
