"""Short options to fit a table, and the help of one screen."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from regression.cli.help_page import GROUPS, OWNERS, command_page, default_of, help_text
from regression.cli.short_options import SHORT, expand_options
from regression.common.errors import UsageError
from tests.support.command import Command

MEASURED = 'Time (s),"Voltage, mV",error\n1,2.1,0.1\n2,3.9,0.1\n3,6.2,0.2\n4,7.8,0.2\n'
TABLE = "--data=regression.TableDataModule"


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A table of three columns."""
    (tmp_path / "meas.csv").write_text(MEASURED)
    return str(tmp_path / "meas.csv")


def pair(folder: Path) -> str:
    """Return a table of two columns that are called neither x nor y."""
    (folder / "pair.csv").write_text("t,u\n1,2\n2,4.5\n3,6\n")
    return str(folder / "pair.csv")


def test_short_options_stand_for_long_ones(table: str) -> None:
    """A file after fit is a table; a degree means a polynomial; the fit is exact."""
    long = expand_options(["fit", table, "--x", "Time (s)", "--y=Voltage, mV", "--sigma", "error", "--degree", "2"])
    assert long == [
        "fit", "--model=regression.PolynomialRegression", "--model.solver=exact", TABLE, f"--data.path={table}",
        "--data.x=Time (s)", "--data.y=Voltage, mV", "--data.sigma=error", "--model.degree=2",
    ]  # fmt: skip


def test_constraints_have_a_short_way(command: Command, tmp_path: Path) -> None:
    """Terms, fixed coefficients and points are written with commas, in one option or in several, or as lists."""
    path = pair(tmp_path)
    polynomial, exact = "--model=regression.PolynomialRegression", "--model.solver=exact"
    for given, written in (
        (["--terms", "0,2"], [polynomial, "--model.terms=[0,2]"]),
        (["--terms=[0, 2]"], [polynomial, "--model.terms=[0, 2]"]),
        (["--fix", "slope=4"], ["--model=regression.LineRegression", "--model.fix={slope: 4}"]),
        (["--degree=3", "--fix", "c0=-1,c1=2", "--fix=c2=3"], [polynomial, "--model.fix={c0: -1, c1: 2, c2: 3}"]),
        (["--degree=3", "--through", "4,2", "--through=-1,0.5"], [polynomial, "--model.through=[[4,2],[-1,0.5]]"]),
        (["--degree=3", "--through=[[4, 2]]", "--fix={c1: 2}"], [polynomial, "--model.through=[[4, 2]]"]),
    ):
        long = expand_options(["fit", path, *given])
        assert long[:3] == ["fit", written[0], exact]
        assert written[1] in long
    done = command("fit", path, "--terms", "2", "--fix", "c2=1")
    assert done.err == "regression: terms, fixed coefficients and points to go through leave nothing to fit\n"
    done = command("fit", path, "--through", "2024-05-01T12:00,81")
    assert "a list of points, such as [[4, 2]], with times as numbers of the time unit since the" in done.err
    with pytest.raises(UsageError, match="--fix gives a coefficient twice, got c0, c0"):
        expand_options(["fit", path, "--fix", "c0=1", "--fix", "c0=2"])
    with pytest.raises(UsageError, match="--through needs a value, as in --through 4,2"):
        expand_options(["fit", path, "--through"])


@pytest.mark.parametrize("option", ["--optimizer=SGD", "--model.learning_rate=0.1", "--optimizer.lr=1", "--model.loss"])
def test_an_option_of_descent_keeps_the_default_solver(table: str, option: str) -> None:
    """With an optimizer, a learning rate or a loss the solver is the module's own default."""
    assert "--model.solver=exact" not in expand_options(["fit", table, "--x=1", "--y=2", option])


def test_what_names_a_model_keeps_it(table: str) -> None:
    """A model, a configuration or a checkpoint is kept, and the columns are not looked up."""
    for words in (["--model", "LineRegression"], ["-c", "a.yaml"], ["--config=a.yaml"], ["--ckpt_path", "last"]):
        assert expand_options(["fit", table, *words]) == ["fit", TABLE, f"--data.path={table}", *words]
    assert expand_options(["predict", table, "--ckpt_path=last"]) == [
        "predict", TABLE, f"--data.path={table}", "--ckpt_path=last"
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["SineLineDataModule", "regression.TableDataModule", '{"class_path": "A"}', "d.yaml"])
def test_data_that_is_no_file_is_kept(value: str) -> None:
    """The name of a class and settings are no table."""
    assert expand_options(["fit", f"--data={value}"]) == ["fit", f"--data={value}"]


def test_of_two_columns_the_first_is_x(tmp_path: Path) -> None:
    """An axis that is not named is the column that is left, whether others are given by name or number."""
    path = pair(tmp_path)
    assert expand_options(["fit", "--data", path])[-2:] == ["--data.x=t", "--data.y=u"]
    assert expand_options(["fit", path, "--y=t"])[-1] == "--data.x=u"
    assert expand_options(["fit", path, "--x=2"])[-1] == "--data.y=t"


def test_columns_x_and_y_are_taken_among_others(tmp_path: Path) -> None:
    """The columns x and y are the default where the table has them."""
    (tmp_path / "a.csv").write_text("id,y,x\n1,2,3\n")
    assert not [
        word for word in expand_options(["fit", str(tmp_path / "a.csv")]) if word.startswith(("--data.x", "--data.y"))
    ]


def test_names_are_those_of_any_format(tmp_path: Path) -> None:
    """The first column is x and the second y in each kind of file."""
    columns = {"t": np.arange(3.0), "u": np.ones(3)}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    feather.write_feather(pa.table(columns), str(tmp_path / "a.arrow"))
    np.savez(tmp_path / "a.npz", **columns)
    for name in ("a.parquet", "a.arrow", "a.npz"):
        assert expand_options(["fit", str(tmp_path / name)])[-2:] == ["--data.x=t", "--data.y=u"]


def test_a_table_of_more_columns_shows_them(command: Command, table: str) -> None:
    """A table with more columns is refused with their names and the options to choose with."""
    done = command("fit", table)
    assert done.code == 2
    assert done.err.endswith("meas.csv has the columns 'Time (s)', 'Voltage, mV', 'error': choose with --x and --y\n")


def test_a_missing_column_is_refused_by_the_reader(command: Command, table: str) -> None:
    """A misspelt column is refused with the most similar one."""
    assert "no column 'Time'" in command("fit", table, "--x=Time").err


def test_x_and_y_are_two_columns(command: Command, table: str) -> None:
    """The same column for both is refused, whether it is named, numbered or both; columns of one name are two."""
    for x, y in (("1", "1"), ("error", "error")):
        assert command("fit", table, "--x", x, "--y", y).err == (
            f"regression: x and y must be two columns, got {x} for both\n"
        )
    assert "x and y must be two columns, got 3 and error, which are the same one of" in (
        command("fit", table, "--x", "3", "--y", "error").err
    )


@pytest.mark.parametrize("option", ["--x", "--y", "--sigma", "--series"])
def test_a_column_needs_a_table(option: str) -> None:
    """A column without a file is refused in a line that shows where the file is given."""
    with pytest.raises(UsageError, match=f"{option} is for a table: give its file right after fit"):
        expand_options(["fit", option, "a"])


def test_a_file_after_options_is_refused(command: Command, table: str) -> None:
    """A file after other options is refused in a line that shows where it is given."""
    assert "stands right after the command" in command("fit", "--report.rows", "0", table).err


def test_short_options_give_the_fit_of_long_ones(command: Command, table: str) -> None:
    """The weighted line by short options equals numpy's, and config.yaml has the long ones."""
    done = command("fit", table, "--x", "Time (s)", "--y", "2", "--sigma", "error")
    assert done.code == 0, done.err
    x, y, w = [1, 2, 3, 4], [2.1, 3.9, 6.2, 7.8], 1 / np.array([0.1, 0.1, 0.2, 0.2])
    expected = np.polynomial.polynomial.polyfit(x, y, 1, w=w)
    np.testing.assert_allclose(done.fit["params"], expected, rtol=1e-13)
    assert done.folder is not None
    assert "x: Time (s)" in (done.folder / "config.yaml").read_text()


@pytest.mark.parametrize("words", [("--x",), ("--y", "u", "--sigma"), ("--data",)])
def test_an_option_without_a_value_is_named(words: tuple[str, ...]) -> None:
    """An option without a value at the end of the command line is refused by name."""
    with pytest.raises(UsageError, match=f"{words[-1]} needs a value"):
        expand_options(["fit", "a.csv", *words])


def test_a_misspelt_short_option_finds_it(command: Command, table: str) -> None:
    """For ``--degre`` the command suggests ``--degree``."""
    assert "did you mean --degree?" in command("fit", table, "--x=1", "--y=2", "--degre", "2").err


def test_a_misplaced_option_names_the_model_that_has_it(command: Command) -> None:
    """``--model.degree`` without a model is refused in a line that names PolynomialRegression."""
    assert "--model PolynomialRegression has it" in command("fit", "--model.degree", "3").err


def test_help_is_one_screen(command: Command) -> None:
    """The help of each command has at most 60 lines of 80 characters, and the parser's own is ``--help all``."""
    for name in ("fit", "predict", "validate", "test"):
        lines = command_page(name).splitlines()
        assert len(lines) <= 60
        assert max(map(len, lines)) <= 80
    assert "--data.nan_policy" in command("fit", "--help").out
    assert "--trainer.reload_dataloaders_every_n_epochs" in command("fit", "--help", "all").out


def test_help_names_existing_options(command: Command) -> None:
    """Each option of the page is one of the parser's, or of a class that it shows."""
    everything = command("fit", "--help", "all").out + command("predict", "--help", "all").out
    for _, _, lines in GROUPS:
        for option in lines:
            name = option.split()[0].rstrip(",")
            owner, _, attribute = name.removeprefix("--").partition(".")
            known = name in (*everything.split(), "FILE", *SHORT)
            assert known or any(attribute in dir_of(cls) for cls in OWNERS.get(owner, ())), name
    assert default_of("--model.level") == " [0.95]"


def dir_of(cls: type) -> str:
    """Return the help of a class's options."""
    return cls.__doc__ or ""


def test_the_version_and_the_commands_are_printed(command: Command) -> None:
    """``--version`` prints the version, and the overview every command."""
    assert command("--version").out == "regression 0.1.0\n"
    assert all(f"\n  {name} " in command("--help").out for name in ("fit", "validate", "test", "predict", "export"))
    assert help_text(["fit", "-c", "configs/line.yaml"]) is None


@pytest.mark.parametrize(("columns", "end"), [(30, "'v28', 'v29': choose"), (31, "'v29', … (31 in all): choose")])
def test_the_names_of_thirty_columns_are_shown(command: Command, tmp_path: Path, columns: int, end: str) -> None:
    """A table of more columns is refused with the first thirty names, and how many there are."""
    names = [f"v{at}" for at in range(columns)]
    (tmp_path / "wide.csv").write_text(f"{','.join(names)}\n{','.join('1' for _ in names)}\n")
    done = command("fit", "wide.csv")
    assert (done.code, end in done.err) == (2, True), done.err
