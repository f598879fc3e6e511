"""Many series fitted at once: each gets its own exact fit, whatever the order, the batches and the processes."""

import json
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
import torch
from numpy.typing import NDArray
from pyarrow import csv, parquet

import regression
from regression.labels import Labels
from regression.moments import Arithmetic
from regression.series import LONGEST, Series
from regression.series_problem import SeriesSolution
from regression.series_solver import solve_all
from tests.conftest import Command, Run, run_process

CERTIFIED = Path(__file__).parent / "certified"
FIELDS = ("nobs", "rank", "params", "bse", "ssr", "sigma", "rsquared")
Array = NDArray[Any]
Shape = tuple[Array, Array, Array]


def mixed(series: int = 60, seed: int = 0, integer: bool = False) -> Shape:
    """Return codes, x and y of series of 4 to 12 points, each with offsets of its own, rows in order."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, 13, series)
    codes = np.repeat(random.permutation(series * 3)[:series] - series, lengths)
    offsets = np.repeat(random.choice([0.0, 5.0, -1e3, 1.7e9], series), lengths)
    x = offsets + (random.integers(0, 1000, len(codes)) if integer else random.uniform(0, 10, len(codes)))
    levels = np.repeat(random.choice([0.0, 1e6, -3e4], series), lengths)
    return codes, x, levels + 2 * (x - offsets) + random.normal(size=len(codes))


def rational(x: Array, y: Array, degree: int) -> tuple[list[Fraction], list[Fraction], Fraction, Fraction]:
    """Return coefficients, their variances for errors of 1, ssr and tss, by arithmetic without rounding."""
    a, b, size = [Fraction(v) for v in x.tolist()], [Fraction(v) for v in y.tolist()], degree + 1
    rows = [
        [sum((p ** (i + j) for p in a), Fraction(0)) for j in range(size)]
        + [sum((p**i * q for p, q in zip(a, b, strict=True)), Fraction(0))]
        + [Fraction(int(i == j)) for j in range(size)]
        for i in range(size)
    ]
    for k, pivot in enumerate(rows):
        pivot[:] = [value / pivot[k] for value in pivot]
        for i, row in enumerate(rows):
            if i != k:
                row[:] = [value - row[k] * part for value, part in zip(row, pivot, strict=True)]
    params = [row[size] for row in rows]
    ssr = sum((q - sum(c * p**k for k, c in enumerate(params))) ** 2 for p, q in zip(a, b, strict=True))
    mean = sum(b, Fraction(0)) / len(b)
    tss = sum((q - mean) ** 2 for q in b)
    return params, [rows[k][size + 1 + k] for k in range(size)], Fraction(ssr), Fraction(tss)


@pytest.mark.parametrize(("degree", "integer"), [(0, False), (1, True), (1, False), (2, True), (3, True)])
def test_series_equal_exact_rational_fits(degree: int, integer: bool) -> None:
    """Coefficients, errors, ssr and R² are those of rational arithmetic to 12 digits, or 1e-9 standard errors."""
    codes, x, y = mixed(integer=integer)
    fit = regression.fit_series(x, y, codes, degree)
    assert list(fit.series) == sorted(set(codes.tolist()))
    for k, code in enumerate(fit.series):
        mine = codes == code
        if len(set(x[mine].tolist())) <= degree + 1:
            continue
        params, variances, ssr, tss = rational(x[mine], y[mine], degree)
        scale = math.sqrt(ssr / (int(mine.sum()) - degree - 1))
        errors = [scale * math.sqrt(v) for v in variances]
        for found, right, error in zip(fit.params[k].tolist(), params, errors, strict=True):
            assert abs(Fraction(found) - right) <= max(1e-12 * abs(right), 1e-9 * error)
        assert fit.bse[k].tolist() == pytest.approx(errors, rel=1e-11)
        assert fit.ssr[k].item() == pytest.approx(float(ssr), rel=1e-12)
        assert fit.rsquared[k].item() == pytest.approx(float(1 - ssr / tss), rel=1e-12, abs=1e-12)


def test_series_equal_numpy_and_statsmodels() -> None:
    """Near x = 0 the fits are those of numpy.polyfit and statsmodels to ten digits."""
    codes, x, y = mixed(20, seed=3)
    x = x - np.round(x / 1000) * 1000
    fit = regression.fit_series(x, y, codes, 2)
    for k, code in enumerate(fit.series):
        mine = codes == code
        result = sm.OLS(y[mine], np.vander(x[mine], 3, increasing=True)).fit()
        expected = np.polyfit(x[mine], y[mine], 2)[::-1].tolist()
        assert fit.params[k].tolist() == pytest.approx(expected, rel=1e-8, abs=1e-9)
        if result.df_resid > 0:
            assert fit.bse[k].tolist() == pytest.approx(result.bse.tolist(), rel=1e-8)
            assert fit.rsquared[k].item() == pytest.approx(result.rsquared, rel=1e-10)


@pytest.mark.parametrize(("degree", "names"), [(1, ["Norris"]), (2, ["Pontius"]), (5, ["Wampler3", "Wampler4"])])
def test_certified_sets_as_series(degree: int, names: list[str]) -> None:
    """NIST's sets, rows mixed among each other, reach 13 of the certified digits, errors 12."""
    certified = json.loads((CERTIFIED / "certified.json").read_text())
    tables = [np.loadtxt(CERTIFIED / f"{name}.csv", delimiter=",", skiprows=1) for name in names]
    rows = np.concatenate(tables)
    ids = np.repeat(names, [len(table) for table in tables])
    order = np.random.default_rng(4).permutation(len(rows))
    fit = regression.fit_series(rows[order, 0], rows[order, 1], ids[order], degree)
    for k, name in enumerate(fit.series):
        right = certified[name]
        assert fit.params[k].tolist() == pytest.approx(list(map(float, right["digits_40"]["estimates"])), rel=3e-14)
        assert fit.bse[k].tolist() == pytest.approx(list(map(float, right["digits_40"]["std_errors"])), rel=1e-12)


def solved(parts: list[Shape], degree: int, arithmetic: Arithmetic = "double-double") -> SeriesSolution:
    """Return the solutions, sorted, of points that come in parts."""
    batches = [tuple(map(torch.from_numpy, part)) for part in parts]
    found = Series.merged([Series.of(*batch, degree, arithmetic) for batch in batches])  # type: ignore[call-arg, arg-type]
    codes, solution = solve_all(found, batches)  # type: ignore[arg-type]
    return solution.chosen(codes.argsort())


def shares(points: Shape, cuts: list[int]) -> list[Shape]:
    return [
        tuple(column[a:b] for column in points)  # type: ignore[misc]
        for a, b in zip([0, *cuts], [*cuts, len(points[0])], strict=True)
    ]


@pytest.mark.parametrize("arithmetic", ["double-double", "double"])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_bits_do_not_depend_on_order_or_batches(degree: int, arithmetic: Arithmetic) -> None:
    """Sorted rows in one batch, rows cut anywhere into 2 to 9 batches, and shuffled rows give the same bits."""
    points = mixed(200, seed=degree)
    random = np.random.default_rng(1)
    order = random.permutation(len(points[0]))
    shuffled: Shape = tuple(column[order] for column in points)  # type: ignore[assignment]
    one = solved([points], degree, arithmetic)
    for number in (1, 2, 8):
        cuts = sorted(random.integers(0, len(order), number).tolist())
        for rows in (points, shuffled):
            other = solved(shares(rows, cuts), degree, arithmetic)
            for name in FIELDS:
                torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=0, atol=0, equal_nan=True)


def test_long_series_are_fitted_like_short_ones() -> None:
    """Series of thousands of rows, in a row or scattered, have the bits of each other and numpy's coefficients."""
    random = np.random.default_rng(2)
    lengths = [3 * LONGEST + 5, 7, LONGEST, 1]
    codes = np.repeat(np.arange(4), lengths)
    x = random.uniform(-3, 8, len(codes))
    points: Shape = (codes, x, 1 + x**2 + random.normal(size=len(codes)))
    order = random.permutation(len(codes))
    one, other = solved([points], 2), solved(shares(tuple(c[order] for c in points), [100, 5000]), 2)  # type: ignore[arg-type]
    assert one.nobs.tolist() == lengths
    for name in FIELDS:
        torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=0, atol=0, equal_nan=True)
    for k in range(3):
        mine = codes == k
        assert one.params[:, k].tolist() == pytest.approx(np.polyfit(x[mine], points[2][mine], 2)[::-1].tolist())


@pytest.mark.parametrize("far", [2**40, 2**62], ids=["near", "far"])
def test_mixed_ids_are_sorted_at_any_distance(far: int) -> None:
    """Rows in random order are fitted like sorted ones, also where ids are too far apart to share bits with rows."""
    codes, x, y = mixed(30, seed=9)
    codes = np.where(codes > 0, far, -far) + codes
    order = np.random.default_rng(5).permutation(len(codes))
    fit, other = regression.fit_series(x, y, codes, 2), regression.fit_series(x[order], y[order], codes[order], 2)
    assert list(other.series) == list(fit.series) == sorted(set(codes.tolist()))
    for name in FIELDS:
        torch.testing.assert_close(getattr(other, name), getattr(fit, name), rtol=0, atol=0, equal_nan=True)


def test_second_pass_is_only_for_cut_series() -> None:
    """Series whose rows follow each other are solved without reading the points again."""
    points = tuple(map(torch.from_numpy, mixed()))

    def never() -> Iterator[Any]:
        raise AssertionError("read again")
        yield

    found = Series.of(*points, 1, "double-double")  # type: ignore[call-arg, arg-type]
    solve_all(found, never())


def test_what_points_leave_open_is_nan() -> None:
    """One point, constant x, too few distinct x, no point to spare and constant y leave open what they must."""
    x = [5.0, 2, 2, 2, 1, 1, 4, 0, 1, 0, 1, 2, 3, 0, 1, 2]
    y = [7.0, 1, 2, 6, 1, 3, 5, 4, 6, 3, 3, 3, 3, 1, 3, 5]
    ids = list("abbbccc") + list("ddeeee") + list("fff")
    with pytest.warns(regression.UndeterminedWarning, match=r"^undetermined: 2 of 6 series have fewer distinct x"):
        fit = regression.fit_series(x, y, ids)
    rows = dict(zip(fit.series, range(6), strict=True))
    assert fit.rank.tolist() == [1, 1, 2, 2, 2, 2]
    assert fit.params[: rows["c"]].isnan().all()
    assert fit.bse[: rows["c"]].isnan().all()
    assert fit.sigma[0].isnan()
    assert (fit.ssr[rows["b"]].item(), fit.rsquared[rows["b"]].item()) == pytest.approx((14, 0))
    assert fit.params[rows["c"]].tolist() == pytest.approx([1, 1])
    assert fit.params[rows["d"]].tolist() == [4, 2]
    assert fit.bse[rows["d"]].isnan().all()
    assert (fit.ssr[rows["d"]].item(), fit.rsquared[rows["d"]].item()) == (0, 1)
    assert fit.params[rows["e"]].tolist() == [3, 0]
    assert fit.rsquared[[rows["a"], rows["e"]]].isnan().all()
    assert (*fit.params[rows["f"]].tolist(), *fit.bse[rows["f"]].tolist(), fit.rsquared[rows["f"]].item()) == (
        1, 2, 0, 0, 1,
    )  # fmt: skip
    assert "errors are unknown for 1 series" in str(fit)
    assert "NaN" not in fit.to_json()


def test_double_finds_the_same_to_its_digits() -> None:
    """In double, near x = 0, coefficients have 12 digits of those in double-double, errors 9."""
    codes, x, y = mixed(50, seed=8)
    x = x - np.round(x / 1000) * 1000
    fine, fast = (regression.fit_series(x, y, codes, 2, arithmetic) for arithmetic in ("double-double", "double"))
    torch.testing.assert_close(fast.params, fine.params, rtol=1e-11, atol=1e-11 * 1e6, equal_nan=True)
    torch.testing.assert_close(fast.rsquared, fine.rsquared, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "ids", "message"),
    [
        ([1.0, 2], [1.0, math.nan], [1, 1], "y must be finite, got nan at row 1"),
        ([1.0, 2], [1.0, 2], [1], "series must have a name for each of 2 points, got 1"),
        ([1.0, 2], [1.0, 2], [1.5, 2], "series must be whole numbers or texts"),
        ([1.0, 2], [1.0, 2], ["a", None], "series must be whole numbers or texts"),
        ([], [], np.zeros(0, dtype=int), "there are no rows to fit"),
        ([1e305, 2], [1.0, 2], [1, 1], "x and y of series must be below 1.1e"),
    ],
    ids=["nan", "short", "fraction", "missing", "empty", "huge"],
)
def test_wrong_points_are_refused(x: Any, y: Any, ids: Any, message: str) -> None:
    """What is no series of finite points is refused in one line."""
    with pytest.raises(regression.UsageError, match=f"^{message}"):
        regression.fit_series(x, y, ids)


def test_whole_numbers_written_as_texts_are_sorted_as_numbers() -> None:
    """Texts that are all whole numbers are sorted as such; one that is not makes all of them texts."""
    for texts, expected in ((["10", "9", "-1"], [-1, 9, 10]), (["10", "9", "01"], ["01", "10", "9"])):
        labels = Labels()
        codes = labels.codes(pa.array(texts)).astype(np.int64)
        assert list(labels.names(codes)[0]) == expected


def table(is_determined: bool = True) -> pa.Table:
    codes, x, y = mixed(40, seed=5)
    if not is_determined:
        x[codes == codes[0]] = 3.0
    order = np.random.default_rng(0).permutation(len(x))
    return pa.table({"id": codes[order], "x": x[order], "y": y[order]})


def fit_options(path: Path | str, *more: str) -> list[str]:
    return ["fit", "--model", "PolynomialRegression", "--model.degree", "1", "--model.solver", "exact", "--data",
            "TableDataModule", "--data.path", str(path), "--data.series", "id", "--trainer.accelerator", "cpu",
            *more]  # fmt: skip


def result(run: Run, name: str = "series.parquet") -> pa.Table:
    assert run.folder is not None, run.err
    return parquet.read_table(run.folder / name)


def test_command_writes_a_row_for_each_series(command: Command, tmp_path: Path) -> None:
    """The file has the numbers of ``fit_series`` bit for bit, null where undetermined; report and JSON say so."""
    points = table(is_determined=False)
    parquet.write_table(points, tmp_path / "a.parquet")
    with pytest.warns(regression.UndeterminedWarning, match="^undetermined: 1 of 40 series") as caught:
        run = command(*fit_options("a.parquet"))
    assert (run.code, len(caught)) == (0, 1)
    with pytest.warns(regression.UndeterminedWarning, match="1 of 40"):
        fit = regression.fit_series(*(points[name].to_numpy() for name in ("x", "y", "id")))
    written = result(run)
    assert written.column_names == [
        "series", "nobs", "rank", "c0", "c1", "c0_se", "c1_se", "ssr", "sigma", "rsquared",
    ]  # fmt: skip
    assert written["series"].to_pylist() == list(fit.series) == sorted(fit.series)
    for name, values in fit.columns().items():
        numbers = values.tolist() if isinstance(values, torch.Tensor) else list(values)
        assert written[name].to_pylist() == [None if value != value else value for value in numbers]
    assert written["c0"].null_count == written["c1_se"].null_count == 1
    assert run.fit["series"] == 40
    assert run.fit["undetermined"] == 1
    assert run.fit["nobs"] == len(points)
    assert run.folder is not None
    assert (run.folder / "fit.txt").read_text() in run.out
    assert not (run.folder / "fit.png").exists()
    assert not (run.folder / "checkpoints").exists()


def test_every_kind_of_file_gives_the_same_series(command: Command, tmp_path: Path) -> None:
    """Parquet in memory and streamed in small groups, CSV, whole numbers and texts give the same rows."""
    points = table()
    texts = points.set_column(0, "id", pa.array([f"k{code:+04d}" for code in points["id"].to_pylist()]))
    parquet.write_table(points, tmp_path / "a.parquet", row_group_size=37)
    csv.write_csv(points, tmp_path / "a.csv")
    csv.write_csv(texts, tmp_path / "t.csv")
    parquet.write_table(texts, tmp_path / "t.parquet", row_group_size=50, use_dictionary=True)
    streamed = ("--data.in_memory_rows", "0", "--data.batch_size", "100")
    cases = [("a.parquet",), ("a.parquet", *streamed), ("a.csv",), ("t.csv",), ("t.parquet", *streamed)]
    tables = [result(command(*fit_options(*case))) for case in cases]
    assert tables[1].equals(tables[0])
    assert tables[2].equals(tables[0])
    assert tables[4].equals(tables[3])
    by_text = dict(zip(tables[3]["series"].to_pylist(), tables[3]["c1"].to_pylist(), strict=True))
    assert {int(text[1:]): value for text, value in by_text.items()} == dict(
        zip(tables[0]["series"].to_pylist(), tables[0]["c1"].to_pylist(), strict=True)
    )


def test_csv_file_by_its_ending(command: Command, tmp_path: Path) -> None:
    """``--series.file series.csv`` writes text with empty cells for nulls; LineRegression names its coefficients."""
    csv.write_csv(table(is_determined=False), tmp_path / "a.csv")
    options = ["LineRegression" if word == "PolynomialRegression" else word for word in fit_options("a.csv")]
    at = options.index("--model.degree")
    with pytest.warns(regression.UndeterminedWarning, match="^undetermined: 1 of 40 series"):
        run = command(*options[:at], *options[at + 2 :], "--series.file", "series.csv")
    assert run.folder is not None
    lines = (run.folder / "series.csv").read_text().splitlines()
    assert lines[0] == "series,nobs,rank,intercept,slope,intercept_se,slope_se,ssr,sigma,rsquared"
    assert len(lines) == 41
    assert len([line for line in lines if ",,,," in line]) == 1


@pytest.mark.parametrize("kind", ["texts", pytest.param("numbers", marks=pytest.mark.slow)])
def test_two_devices_give_the_same_file(tmp_path: Path, command: Command, kind: str) -> None:
    """Two real processes that each read a part of a streamed table write the bytes of one."""
    points = table()
    if kind == "texts":
        points = points.set_column(0, "id", pa.array([f"k{code}" for code in points["id"].to_pylist()]))
    parquet.write_table(points, tmp_path / "a.parquet", row_group_size=50)
    options = fit_options("a.parquet", "--data.in_memory_rows", "0", "--data.batch_size", "130")
    one = command(*options)
    two = run_process(tmp_path, *options, "--trainer.devices", "2")
    assert two.code == 0, two.err
    assert two.err == ""
    assert one.folder is not None
    assert two.folder is not None
    assert result(two).equals(result(one))
    assert (two.folder / "fit.txt").read_text() == (one.folder / "fit.txt").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model.solver", "gradient"), "series need --model.solver exact, got solver gradient"),
        (("--model.degree", "auto"), "series need a degree that is the same for all, got degree auto"),
        (("--data.sigma", "y"), "series are fitted to all points, each of the same weight: leave out sigma y"),
        (("--data.validation_fraction", "0.5"), "series are fitted to all points.*leave out validation_fraction 0.5"),
        (("--data.series", "x"), "series must name a column other than x and y, got x"),
        (("--data.series", "idd"), "there is no column 'idd' among 'id', 'x', 'y'; did you mean 'id'"),
        (("--series.file", "a.txt"), "series.file must be a file name ending in .csv or .parquet, got a.txt"),
        (("--series.file", "a\x1b.csv"), r"series.file must be a file name ending in .csv or .parquet, got a\\x1b"),
        (("--trainer.precision", "bf16-true"), "solver exact needs full precision, got bf16-true"),
    ],
    ids=["gradient", "auto", "sigma", "held-out", "x", "column", "file", "control character", "precision"],
)
def test_command_refuses(command: Command, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    """What series do not go with is refused in one line with status 2, and leaves no folder."""
    parquet.write_table(table(), tmp_path / "a.parquet")
    run = command(*fit_options("a.parquet", *options))
    assert (run.code, run.folder, run.err.count("\n")) == (2, None, 1)
    assert re.search(message, run.err)


def test_predict_and_resume_refuse_series(command: Command, tmp_path: Path) -> None:
    """With a checkpoint of one curve, predict with series and a fit of series are refused in one line."""
    parquet.write_table(table(), tmp_path / "a.parquet")
    options = fit_options("a.parquet")
    at = options.index("--data.series")
    single = command(*options[:at], *options[at + 2 :])
    for words, message in (
        (
            ("predict", "--ckpt_path", single.checkpoint, "--data.series", "id"),
            "only fit takes series: leave out --data.series id",
        ),
        ((*options, "--ckpt_path", single.checkpoint), "a fit of series .* is not resumed: leave --ckpt_path out"),
    ):
        run = command(*words)
        assert (run.code, run.folder, run.err.count("\n")) == (2, None, 1)
        assert re.search(message, run.err)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_missing_ids_are_refused_with_their_row(command: Command, tmp_path: Path, name: str) -> None:
    """A row without an id is refused by its number, or left out and counted with ``nan_policy omit``."""
    points = table()
    ids = points["id"].to_pylist()
    ids[4] = None
    points = points.set_column(0, "id", pa.array(ids))
    (csv.write_csv if name == "a.csv" else parquet.write_table)(points, tmp_path / name)
    run = command(*fit_options(name))
    assert run.code == 2
    assert "column 'id' must" in run.err
    assert "got a missing number in data row 5, and 1 such row in all" in run.err
    left = command(*fit_options(name, "--data.nan_policy", "omit"))
    assert left.fit["omitted"] == 1
    assert left.fit["nobs"] == len(points) - 1


def test_ids_that_are_no_names_are_refused(command: Command, tmp_path: Path) -> None:
    """Fractions as ids are refused with their row."""
    parquet.write_table(table().set_column(0, "id", pa.array([0.5] * len(table()))), tmp_path / "a.parquet")
    run = command(*fit_options("a.parquet"))
    assert run.code == 2
    assert "column 'id' must name series by whole numbers or texts, got 0.5 in data row 1" in run.err


@pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`")
@pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero")
def test_regressions_refuse_a_table_of_series(tmp_path: Path) -> None:
    """In Python, a module for one curve refuses a table with series, and names the one for them."""
    parquet.write_table(table(), tmp_path / "a.parquet")
    data = regression.TableDataModule(str(tmp_path / "a.parquet"), series="id")
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=1, enable_model_summary=False, num_sanity_val_steps=0, **quiet)  # type: ignore[arg-type]
    with pytest.raises(regression.UsageError, match="is for SeriesRegression"):
        trainer.fit(regression.LineRegression(solver="exact"), data)
