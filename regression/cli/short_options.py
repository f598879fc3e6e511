"""Replaces a file and short options, ``fit meas.csv --x T --y U --degree 2``, by the long options that they mean."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from regression.common.errors import UsageError
from regression.data.files import ENDINGS, STANDARD_INPUT, column_names
from regression.readers.columns import listed
from regression.readers.dialect import STANDARD, Dialect

__all__ = ["SHORT", "expand_options"]

SHORT = {
    "--x": "--data.x",
    "--y": "--data.y",
    "--sigma": "--data.sigma",
    "--sigma_x": "--data.sigma_x",
    "--series": "--data.series",
    "--degree": "--model.degree",
    "--terms": "--model.terms",
    "--fix": "--model.fix",
    "--through": "--model.through",
}
LONG_COLUMNS = ("--data.weights", "--data.counts")  # columns without a short option
EXAMPLES = {"--degree": "2", "--terms": "0,2", "--fix": "slope=4", "--through": "4,2"}  # of the options of the model
TABLE = "regression.TableDataModule"
OF_DESCENT = ("--optimizer", "--lr_scheduler", "--model.learning_rate", "--model.loss", "--model.updates_per_batch",
              "--model.stop_at_opt_error")  # fmt: skip
NAMING_A_MODEL = {"-c", "--config", "--model", "--ckpt_path"}
SHOWN_COLUMNS = 30  # of a table in an error


def expand_options(args: Sequence[str]) -> list[str]:
    """Return the command line with a file and short options replaced by the long options that they mean.

    A file right after the command, or after ``--data``, is a table. Where ``fit`` is given no model, it is a polynomial
    if there is a degree or there are terms, else a line; the solver is exact unless an option of gradient descent is
    given. Of a table with two columns the first is x and the second y.

    Args:
        args: The command and what follows it.

    Raises:
        UsageError: If the columns to fit are not named, and the table has neither x and y nor just two columns.
    """
    command, *words = args
    has_file = bool(words) and (words[0] == STANDARD_INPUT or not words[0].startswith("-"))
    given = list(_options(["--data", *words] if has_file else words))
    table = next((value for name, value in given if name == "--data" and value and (has_file or _is_table(value))), "")
    names = {name.partition("=")[0] for name, _ in given}
    long = list(_long_options(given, table))
    if command != "fit" or names & NAMING_A_MODEL:
        return [command, *long]
    if not any(name.startswith("--data") for name in names):
        for name in sorted(names & SHORT.keys() - EXAMPLES.keys()):
            raise UsageError(f"{name} is for a table: give its file right after fit, as in fit FILE {name} NAME")
    model = _model_options(names) if table or names & EXAMPLES.keys() else ()
    return [command, *model, *long, *(_column_options(table, long) if table else ())]


def _options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield short options and ``--data`` as pairs of name and value; any other word unchanged, with ``None``."""
    rest = iter(words)
    for word in rest:
        name, sign, value = word.partition("=")
        if name not in (*SHORT, "--data") and not name.startswith("--data."):
            yield word, None
        elif sign:
            yield name, value
        elif (following := next(rest, None)) is None:
            raise UsageError(f"{name} needs a value, as in {name} {EXAMPLES.get(name, 'NAME')}")
        else:
            yield name, following


def _long_options(given: Sequence[tuple[str, str | None]], table: str) -> Iterator[str]:
    for name, value in given:
        if name == "--data" and value == table and table:
            yield from (f"--data={TABLE}", f"--data.path={table}")
        elif value is None:
            yield SHORT.get(name, name)
        elif name not in REPEATABLE:
            yield f"{SHORT.get(name, name)}={value}"
    for name, write in REPEATABLE.items():
        if values := [value for other, value in given if other == name and value is not None]:
            yield f"{SHORT[name]}={write(values)}"


def _to_list(values: Sequence[str]) -> str:
    """Return ``0,2`` as a list of YAML."""
    return values[-1] if values[-1].startswith("[") else f"[{','.join(values)}]"


def _to_mapping(values: Sequence[str]) -> str:
    """Return ``slope=4``, and others like it, as a mapping of YAML."""
    if values[-1].startswith("{"):
        return values[-1]
    parts = [part.partition("=") for part in ",".join(values).split(",")]
    names = [name.strip() for name, _, _ in parts]
    if len({*names}) < len(names):  # YAML would take the last value
        raise UsageError(f"--fix gives a coefficient twice, got {', '.join(names)}")
    return f"{{{', '.join(f'{name}: {value}' for name, _, value in parts)}}}"


def _to_lists(values: Sequence[str]) -> str:
    """Return ``4,2``, and more points, as a list of lists of YAML."""
    return values[-1] if values[-1].startswith("[") else f"[{','.join(f'[{value}]' for value in values)}]"


# Options that may be given more than once.
REPEATABLE = {"--terms": _to_list, "--fix": _to_mapping, "--through": _to_lists}


def _is_table(value: str) -> bool:
    """Tell whether a value is a path, and neither the name of a class nor settings."""
    if value.startswith(("{", "[")) or value.endswith((".yaml", ".yml", ".json")):
        return False
    return (
        value.lower().endswith(tuple(ENDINGS))
        or any(sign in value for sign in "/*?~")
        or value == STANDARD_INPUT
        or Path(value).exists()
    )


def _model_options(names: set[str]) -> Iterator[str]:
    """Yield the options of the model and its solver for a command line that names no model."""
    has_degree = bool(names & {"--degree", "--model.degree", "--terms", "--model.terms"})
    yield f"--model=regression.{'PolynomialRegression' if has_degree else 'LineRegression'}"
    if "--model.solver" not in names and not any(name.startswith(OF_DESCENT) for name in names):
        yield "--model.solver=exact"


def _data_options(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of the data, with their values, which may be words of their own."""
    for word, following in zip_longest(options, options[1:], fillvalue=""):
        name, sign, value = word.partition("=")
        if name.startswith("--data."):
            yield name, value if sign else following


def _dialect(named: Mapping[str, str]) -> Dialect:
    """Return the dialect that the options describe; the standard one if they are wrong, which the parser reports."""
    found: dict[str, Any] = {
        name: named[f"--data.{name}"] for name in Dialect.__dataclass_fields__ if f"--data.{name}" in named
    }
    with suppress(UsageError, yaml.YAMLError):
        values: dict[str, Any] = {
            name: yaml.safe_load(found[name]) for name in ("skip_rows", "units_row") if name in found
        }
        return Dialect(**(found | values))
    return STANDARD


def _column_options(table: str, options: Sequence[str]) -> list[str]:
    """Return options for the columns of x and y that are not named."""
    named = dict(_data_options(options))
    unnamed = [axis for axis in ("x", "y") if f"--data.{axis}" not in named]
    if not unnamed:
        return []
    columns = column_names(table, _dialect(named))
    taken = {named[option] for option in named.keys() & {*SHORT.values(), *LONG_COLUMNS}}
    rest = [name for at, name in enumerate(columns, start=1) if name not in taken and str(at) not in taken]
    if set(unnamed) <= set(rest) or len(rest) > len(columns) - len(taken):  # the reader names those that are missing
        return []
    if len(rest) == len(unnamed):
        return [f"--data.{axis}={name}" for axis, name in zip(unnamed, rest, strict=True)]
    shown = listed(columns, SHOWN_COLUMNS)
    if len(columns) == 1:
        raise UsageError(
            f"{table} has one column, {shown}: say what stands above the names with --data.skip_rows or "
            "--data.comment, or what parts them with --data.delimiter"
        )
    raise UsageError(f"{table} has the columns {shown}: choose with {' and '.join(f'--{axis}' for axis in unnamed)}")
