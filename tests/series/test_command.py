"""Series through the doors: what is taken, what is refused, and what a run writes."""

import math
import re
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import csv, parquet

import regression
from regression.figures import figure
from regression.readers.series_names import Labels
from tests.series.points import mixed
from tests.support.command import Command, Run, run_process


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


@pytest.mark.figures
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
    assert (run.folder / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert not (run.folder / "checkpoints").exists()


@pytest.mark.figures
def test_few_series_have_a_panel_each_and_a_line_each(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 30 series are listed, and drawn with their own points; of more the spread of the numbers is drawn."""
    drawn, make = list[Any](), figure.figure_file
    monkeypatch.setattr(figure, "figure_file", lambda made, *how: drawn.append(made) or make(made, *how))
    rows = [f"tube {s},{x},{s + x * x}\n" for s in range(31) for x in range(4)]
    (tmp_path / "many.csv").write_text("id,x,y\n" + "".join(rows))
    (tmp_path / "few.csv").write_text("id,x,y\nlonely,0,1\n" + "".join(rows[:12]))
    with pytest.warns(regression.UndeterminedWarning):
        few = command("fit", "few.csv", "--series", "id", "--figure.file", "a.svg")
    assert few.folder is not None
    assert re.search(r"^  lonely +1 +open +open$", few.out, re.M)
    assert re.search(r"^  tube 2 +4 +1.0 ± 1.2 +3.0 ± 0.6 +1.414$", few.out, re.M)
    assert (few.folder / "a.svg").read_bytes().startswith(b"<?xml")
    names = {panel.get_title(): panel.lines for panel in drawn[0].axes if panel.axison}
    assert sorted(names) == ["lonely", "tube 0", "tube 1", "tube 2"]
    points, line = names["tube 1"]
    assert points.get_xydata().tolist() == [[x, 1 + x * x] for x in range(4)]
    assert line.get_ydata()[[0, -1]] == pytest.approx([0, 9])
    assert len(names["lonely"]) == 1
    many = command("fit", "many.csv", "--series", "id")
    assert "tube 1" not in many.out
    assert [panel.get_xlabel() for panel in drawn[-1].axes] == ["intercept", "slope", "σ"]
    refused = command("fit", "few.csv", "--series", "id", "--figure.diagnostics", "true")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "figure.diagnostics are for one fit of all points" in refused.err


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
        (("--data.sigma", "id"), "series must name a column other than x, y and sigma, got id"),
        (("--model.absolute_sigma", "true"), "absolute_sigma needs the sigma of the points"),
        (("--data.validation_fraction", "0.5"), "series are fitted to all points: leave out validation_fraction 0.5"),
        (("--data.series", "x"), "series must name a column other than x, y and sigma, got x"),
        (("--data.series", "idd"), "there is no column 'idd' among 'id', 'x', 'y'; did you mean 'id'"),
        (("--series.file", "a.txt"), "series.file must be a file name ending in .csv or .parquet, got a.txt"),
        (("--series.file", "a\x1b.csv"), r"series.file must be a file name ending in .csv or .parquet, got a\\x1b"),
        (("--trainer.precision", "bf16-true"), "solver exact needs full precision, got bf16-true"),
    ],
    ids=["gradient", "auto", "sigma", "absolute", "held-out", "x", "column", "file", "control character", "precision"],
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
    module = regression.SeriesRegression(2, fit_intercept=False)
    trainer.fit(module, data)
    assert dict(module.hparams) == {
        "degree": 2, "fit_intercept": False, "absolute_sigma": False, "model": "PolynomialRegression"
    }  # fmt: skip


@pytest.mark.parametrize("absolute", ["true", "false"])
def test_command_takes_sigma_and_lines_through_the_origin(command: Command, tmp_path: Path, absolute: str) -> None:
    """``--data.sigma``, ``absolute_sigma`` and ``fit_intercept`` give the numbers of ``fit_series`` bit for bit."""
    points = table()
    sigma = np.random.default_rng(1).uniform(0.1, 5, len(points))
    parquet.write_table(points.append_column("s", pa.array(sigma)), tmp_path / "a.parquet", row_group_size=60)
    options = ("--data.sigma", "s", "--model.absolute_sigma", absolute, "--data.in_memory_rows", "0",
               "--data.batch_size", "90")  # fmt: skip
    ids, x, y = (points[name].to_numpy() for name in ("id", "x", "y"))
    written = result(command(*fit_options("a.parquet", *options)))
    fit = regression.fit_series(x, y, ids, 1, sigma, absolute == "true")
    assert written["c1_se"].to_pylist() == fit.bse[:, 1].tolist()
    assert written["rsquared"].to_pylist() == fit.rsquared.tolist()
    words = [
        "LineRegression" if word == "PolynomialRegression" else word for word in fit_options("a.parquet", *options)
    ]
    at = words.index("--model.degree")
    written = result(command(*words[:at], *words[at + 2 :], "--model.fit_intercept", "false"))
    fit = regression.fit_series(x, y, ids, 1, sigma, absolute == "true", fit_intercept=False)
    assert written.column_names[3:5] == ["slope", "slope_se"]
    assert written["slope"].to_pylist() == fit.params[:, 0].tolist()
    assert written["slope_se"].to_pylist() == fit.bse[:, 0].tolist()


def test_report_has_the_pooled_sigma_and_the_median_of_the_middle(command: Command, tmp_path: Path) -> None:
    """The pooled σ is the root of Σ ssr over Σ df of series with a point to spare; a median has two middles."""
    ids, x = np.repeat([1, 2, 3, 4], [3, 4, 2, 3]), np.array([0, 1, 2, 0, 1, 2, 3, 0, 1, 0, 1, 2.0])
    y = np.array([0, 1, 0, 0, 2, 0, 2, 5, 9, 0, 0, 6.0])
    parquet.write_table(pa.table({"id": ids, "x": x, "y": y}), tmp_path / "a.parquet")
    fit = regression.fit_series(x, y, ids)
    assert fit.ssr.tolist() == pytest.approx([2 / 3, 3.2, 0, 6])
    assert fit.pooled == pytest.approx(math.sqrt((2 / 3 + 3.2 + 6) / 4))
    assert str(fit).splitlines()[1] == "12 points, 2 to 4 a series, 2 coefficients"
    slopes = sorted(fit.params[:, 1].tolist())
    run = command(*fit_options("a.parquet"))
    assert run.fit["min_median_max"]["c1"][1] == (slopes[1] + slopes[2]) / 2
    assert run.fit["pooled"] == fit.pooled
    assert f"pooled residual σ {fit.pooled:.6g}" in run.out


def test_a_notebook_shows_the_first_series() -> None:
    """In a notebook the fits are a short table, whose names are text; at a prompt they are the report."""
    x, y, ids = np.tile([0.0, 1, 2], 12), np.arange(36.0) ** 2, np.repeat([f"<b>{k:02d}" for k in range(12)], 3)
    fit = regression.fit_series(x, y, ids)
    html = fit._repr_html_()
    assert html.count("<tr>") == 1 + 10
    assert "&lt;b&gt;09" in html
    assert "<b>0" not in html
    assert "and 2 series more: to_frame() has all" in html
    few = regression.fit_series(x[:6], y[:6], ids[:6])
    assert few._repr_html_().count("<tr>") == 1 + 2
    assert "more" not in few._repr_html_()
    assert repr(fit) == str(fit)


def test_sigma_that_is_not_positive_is_refused() -> None:
    """A sigma of 0 is refused, and absolute_sigma without a sigma."""
    with pytest.raises(regression.UsageError, match=r"^sigma must be positive, got 0\.0 at row 1"):
        regression.fit_series([1.0, 2], [1.0, 2], [1, 1], sigma=[1.0, 0])
    with pytest.raises(regression.UsageError, match=r"^absolute_sigma needs the sigma of the points, got none"):
        regression.fit_series([1.0, 2], [1.0, 2], [1, 1], absolute_sigma=True)


def test_extreme_sigmas_are_taken() -> None:
    """Sigmas of 1e-300, and weights of 1e-300 of the largest, are fitted."""
    x, y, ids = [0.0, 1, 2, 3], [0.0, 1, 2, 6], [1, 1, 1, 1]
    fit = regression.fit_series(x, y, ids, sigma=[1e-300] * 4)
    assert fit.params.tolist() == regression.fit_series(x, y, ids).params.tolist()
    fit = regression.fit_series(x, y, ids, sigma=[1.0, 1, 1, 1e150])
    assert fit.params.tolist() == [[0, 1]]


@pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`")
@pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero")
def test_checkpoints_with_an_arithmetic_load(tmp_path: Path) -> None:
    """A checkpoint of an earlier release, whose hyper-parameters name an arithmetic, still gives the module."""
    parquet.write_table(table(), tmp_path / "a.parquet")
    data = regression.TableDataModule(str(tmp_path / "a.parquet"), series="id")
    quiet = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu", "enable_checkpointing": False}
    trainer = pl.Trainer(max_epochs=1, enable_model_summary=False, num_sanity_val_steps=0, **quiet)  # type: ignore[arg-type]
    trainer.fit(regression.SeriesRegression(2), data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    del checkpoint["hyper_parameters"]["fit_intercept"], checkpoint["hyper_parameters"]["absolute_sigma"]
    checkpoint["hyper_parameters"]["arithmetic"] = "double"
    torch.save(checkpoint, tmp_path / "a.ckpt")
    assert regression.SeriesRegression.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True).powers == (0, 1, 2)
