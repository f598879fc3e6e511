"""Picks named columns from a data frame of any library, and makes pandas data frames."""

from collections.abc import Mapping, Sequence
from typing import Any

from regression.common.errors import UsageError
from regression.common.text import did_you_mean, printable

__all__ = ["as_frame", "chosen_columns", "column_name"]


def as_frame(columns: Mapping[str, Any], index: Sequence[str] | None = None) -> Any:
    """Return columns as a ``pandas.DataFrame``.

    Args:
        columns: The columns by their names, each of shape (N,).
        index: Names of the rows.

    Raises:
        UsageError: If pandas is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]  # half a second to import, and most runs do not need it
    except ImportError:
        raise UsageError("to_frame needs pandas, not installed here: pip install pandas, or use to_dict()") from None
    return pd.DataFrame(dict(columns), index=index)


def chosen_columns(data: Any, names: Mapping[str, Any]) -> list[Any]:
    """Return the named columns of a data frame.

    Args:
        data: A data frame of pandas or polars, a table of pyarrow, an array of numpy with fields, or a mapping.
        names: Name of the column for each purpose (``x``, ``y``, ``sigma``, …); for ``sigma`` also a number for all
            rows, which is returned as it is.

    Raises:
        UsageError: If a name is not a string, or the data frame has no such column.
    """
    known = _names(data)
    return [_chosen(data, known, purpose, name) for purpose, name in names.items()]


def column_name(values: Any, default: str) -> str:
    """Return the name that a column of pandas or polars carries, or the default."""
    name = getattr(values, "name", None)
    return name if isinstance(name, str) and name else default


def _names(data: Any) -> list[str]:
    for names in (
        getattr(data, "column_names", None),  # of pyarrow
        getattr(data, "columns", None),  # of pandas and polars
        getattr(getattr(data, "dtype", None), "names", None),  # of a numpy array with fields
        data if isinstance(data, Mapping) else None,
    ):
        if names is not None:
            return [name for name in names if isinstance(name, str)]
    raise UsageError(f"data must be a frame or a mapping with named columns, got {type(data).__name__}")


def _chosen(data: Any, known: Sequence[str], purpose: str, name: Any) -> Any:
    if purpose == "sigma" and isinstance(name, int | float):
        return name
    if not isinstance(name, str):
        raise UsageError(f"{purpose} must name a column of data, got {type(name).__name__}: leave data out for values")
    if name not in known:
        columns = f"; it has {', '.join(printable(column) for column in known[:20]) or 'none'}"
        advice = did_you_mean(name, known, columns, repr, cutoff=0.4)
        raise UsageError(f"data has no column {printable(name)!r} for {purpose}{advice}")
    return data[name]
