"""What the benchmarks share: points, turns, ratios that are not lost in the noise, and tables."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from tests.benchmarks.scripts import load

measure, one_pass = load("measure"), load("one_pass")


def test_a_ratio_is_the_median_of_those_within_each_repeat() -> None:
    """A repeat in which the machine is twice as slow for both sides does not move the ratio."""
    assert measure.ratio([3.0, 6.0, 3.3], [1.0, 2.0, 1.0]) == 3
    assert measure.ratio([3.0], [2.0]) == 1.5


@pytest.mark.parametrize(
    "lost",
    [[0.0], [-1.0, 1.0, 1.0], [0.0, 5.0, 5.0, 5.0], [1.0, 2.0, 9.0, 12.0], [math.nan, 1.0]],
    ids=["nothing", "one below zero", "one zero", "spread over its size", "no number"],
)
def test_a_side_that_is_lost_in_the_noise_is_not_divided_by(lost: list[float]) -> None:
    """Where a difference is not positive, or spreads over its own size, there is no ratio, and the table says so."""
    clear = [4.0] * len(lost)
    assert measure.is_lost(lost)
    assert measure.ratio(clear, lost) is None
    assert measure.ratio(lost, clear) is None
    assert measure.shown(measure.ratio(clear, lost)) == "lost in the noise"


def test_what_spreads_less_than_its_size_is_not_lost() -> None:
    """One slow repeat of five does not lose a measurement: the spread is that of the middle half."""
    assert not measure.is_lost([1.0, 1.1, 1.2, 1.3, 90.0])
    assert measure.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == 2
    assert measure.spread([7.0]) == 0


def test_the_largest_ratio_is_unknown_where_one_is_lost() -> None:
    """A lost ratio may be the largest one, so that there is none."""
    assert measure.largest([1.0, 3.0, 2.0]) == 3
    assert measure.largest([1.0, None, 2.0]) is None


def test_all_take_turns_and_another_one_begins_each_time() -> None:
    """In each of three repeats all three work once, and each of them is first in one."""
    order: list[str] = []
    work: dict[str, Callable[[], None]] = {name: lambda name=name: order.append(name) for name in "abc"}  # type: ignore[misc]
    times = measure.take_turns(work, 3)
    assert "".join(order) == "abcbcacab"
    assert all(len(own) == 3 for own in times.values())
    assert measure.less([3.0, 5.0], [1.0, 2.0], by=2) == [1.0, 1.5]


def test_processor_time_has_that_of_processes_started() -> None:
    """A process that counts to two million uses more processor time than waiting for it does."""
    idle = measure.timed(lambda: None)
    busy = measure.timed(lambda: measure.run_python("a loop", ["-c", "for _ in range(2_000_000): pass"]))
    assert busy.processor > idle.processor + 0.01
    assert busy.clock > 0.01


def test_no_process_gets_the_variables_that_slow_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both variables of OpenBLAS are unset in a new process, and this project's package comes first."""
    for name in measure.SLOWED:
        monkeypatch.setenv(name, "Prescott")
    printed = measure.run_python("a look", ["-c", "import os, json; print(json.dumps(dict(os.environ)))"])
    assert not any(name in printed for name in measure.SLOWED)
    assert f'"PYTHONPATH": "{measure.ROOT}' in printed


def test_a_process_that_fails_stops_with_its_last_words() -> None:
    """The last line of what it said is told, not its traceback."""
    with pytest.raises(SystemExit, match=r"^it failed: ZeroDivisionError: division by zero$"):
        measure.run_python("it", ["-c", "1 / 0"])
    assert measure.last_words("\n") == "it said nothing"


def test_points_are_the_same_each_time_and_about_the_line() -> None:
    """The same number gives the same points, and their distance from the line is the noise's."""
    x, y = measure.points(200_000)
    again = measure.points(200_000)
    assert np.array_equal(x, again[0])
    assert np.array_equal(y, again[1])
    assert float((y - measure.true_line(x)).std()) == pytest.approx(measure.NOISE, rel=0.02)
    assert -1 <= x.min() < -0.999 < 2.999 < x.max() <= 3


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow", "npy"])
@pytest.mark.parametrize("degree", [1, 2])
def test_a_file_has_the_points_of_its_least_squares_line(kind: str, degree: int, tmp_path: Path) -> None:
    """The pass alone finds in each kind of file the coefficients that numpy finds for the same numbers."""
    path = tmp_path / f"points.{kind}"
    measure.write(path, 3000, group=1000)
    ((x, y),) = measure.pieces(3000, 3000)
    right = np.polynomial.Polynomial.fit(x, y, degree).convert().coef.tolist()
    measure.require_right("the sums", measure.least_squares(3000, degree), right)
    measure.require_right("the pass", one_pass.fit_table(path, degree), right)
    with pytest.raises(SystemExit, match=r"^a wrong one found the coefficients \["):
        measure.require_right("a wrong one", [right[0] + 1e-8, *right[1:]], right)


def test_row_groups_have_the_rows_asked_for(tmp_path: Path) -> None:
    """A file of 2,500 rows in groups of 1,000 has three groups."""
    measure.write(tmp_path / "points.parquet", 2500, group=1000)
    metadata = parquet.read_metadata(tmp_path / "points.parquet")
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [1000, 1000, 500]


def test_processes_that_share_a_row_group_all_decode_it(tmp_path: Path) -> None:
    """A single row group is decoded by each of 4 processes; 8 groups by 2 each once; 3 groups by 2 four times."""
    for groups, processes, times in ((1, 4, 4), (8, 2, 1), (3, 2, 4 / 3)):
        path = tmp_path / f"{groups}.parquet"
        measure.write(path, groups * 1000, group=1000)
        assert one_pass.decoded_bytes(path, 1) == pytest.approx(1)
        assert one_pass.decoded_bytes(path, processes) == pytest.approx(times, rel=0.02)


def test_a_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """The first column is flush left, numbers have three digits, and what is lost or missing is said."""
    measure.print_table(["what", "found"], [["a", 1.2345], ["long name", None], ["c", math.nan], ["d", 12345.6]])
    assert capsys.readouterr().out.splitlines() == [
        "what                   found",
        "a                       1.23",
        "long name  lost in the noise",
        "c                          –",
        "d                     12,346",
    ]


def test_versions_name_what_is_installed() -> None:
    """A package that is not there is left out."""
    told = measure.versions("numpy", "no-such-package")
    assert told.startswith(f"python {sys.version.split()[0]}, numpy {np.__version__}, ")
    assert told.endswith(" cores")
