"""Columns of instants and durations of any library, as whole nanoseconds, and as numbers of their scales."""

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.rules import one_of, or_null, require_option
from regression.common.time_scale import DURATIONS, INSTANTS, UTC, TimeScale, TimeUnit, origin_of

__all__ = [
    "MISSING",
    "Times",
    "as_times",
    "begun",
    "in_scale",
    "kind_of",
    "named_origin",
    "nanoseconds",
    "require_effect",
    "timed_columns",
]

MISSING = np.iinfo(np.int64).min  # NaT
COARSE = ("Y", "M", "W", "D", "h", "m")  # units of numpy's that pyarrow does not know
TIMES = (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)
TEXT = ": make times of it, such as numpy.datetime64('2024-01-31T12:00')"
BEYOND = "holds times before 1677 or after 2262, which have no whole number of nanoseconds: leave them out"


class Times(NamedTuple):
    """Times as whole nanoseconds since 1970, or of durations, with the most negative number for missing ones."""

    kind: str
    nanoseconds: NDArray[np.int64]

    @property
    def first(self) -> int | None:
        """The smallest that is not missing."""
        known = self.nanoseconds[self.nanoseconds != MISSING]
        return int(known.min()) if known.size else None

    def numbers(self, name: str, scale: TimeScale) -> NDArray[np.float64]:
        """Return them as numbers of a scale, NaN for missing ones."""
        if self.kind != scale.kind:
            raise UsageError(f"{name} must hold {scale.kind} ({scale.words}), got {self.kind}")
        is_missing = self.nanoseconds == MISSING
        values = scale.numbers(name, np.where(is_missing, scale.origin_ns, self.nanoseconds))
        return np.where(is_missing, np.nan, values)


def kind_of(kind: Any) -> str | None:
    """Return which times a type of pyarrow's is for, ``None`` for none."""
    from pyarrow import types

    if types.is_duration(kind):
        return DURATIONS
    if types.is_timestamp(kind):
        return INSTANTS if kind.tz is None else UTC
    return INSTANTS if types.is_date(kind) else None


def nanoseconds(name: str, column: Any) -> NDArray[np.int64]:
    """Return an array of pyarrow's, of times, as whole nanoseconds.

    Raises:
        UsageError: If a time is too far away to have such a number.
    """
    import pyarrow as pa
    from pyarrow import types

    kind = pa.duration("ns") if types.is_duration(column.type) else pa.timestamp("ns", getattr(column.type, "tz", None))
    try:
        whole = column.cast(kind).cast(pa.int64()).fill_null(MISSING)
    except pa.ArrowInvalid:
        raise UsageError(f"{name} {BEYOND}") from None
    return np.asarray(whole.to_numpy(zero_copy_only=False))


def as_times(name: str, values: Any) -> Times | None:
    """Return a column, or a single time, as times; ``None`` where it holds none.

    Args:
        name: What to call it in errors.
        values: Times of numpy, pandas, polars, pyarrow or ``datetime``, of any shape.

    Raises:
        UsageError: If some have a time zone and others have none, or one is too far away.
    """
    if isinstance(values, Tensor) or values is None:
        return None
    if type(values).__module__.startswith("pyarrow") and hasattr(values, "type"):
        return _of_arrow(name, values)
    described = str(getattr(values, "dtype", "object"))
    if described.startswith(("datetime64", "timedelta64", "timestamp", "date", "duration", "Date", "Duration")):
        return _of_dtype(name, values)
    if described != "object":
        return None
    array = np.asarray(values, dtype=object) if _begins_with_time(values) else None
    return None if array is None else _of_objects(name, array)


def _of_arrow(name: str, column: Any) -> Times | None:
    kind = kind_of(column.type)
    if kind is None:
        return None
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    return Times(kind, nanoseconds(name, column))


def _of_dtype(name: str, values: Any) -> Times | None:
    import pyarrow as pa

    if hasattr(values, "to_arrow"):  # of polars
        return _of_arrow(name, values.to_arrow())
    if isinstance(values, np.ndarray | np.generic):
        array = np.where(np.ma.getmaskarray(values), np.array("NaT", values.dtype), np.asarray(values))
        if np.datetime_data(array.dtype)[0] in COARSE:
            array = array.astype(f"{array.dtype.kind}8[s]")
        try:
            found = _of_arrow(name, pa.array(array.ravel()))
        except (pa.ArrowException, TypeError):  # units below a nanosecond, or none
            raise UsageError(f"{name} must be in units from nanoseconds on, got type {array.dtype}") from None
        return found and Times(found.kind, found.nanoseconds.reshape(array.shape))
    return _of_arrow(name, pa.array(values))


def _begins_with_time(values: Any) -> bool:
    if not isinstance(values, TIMES) and (isinstance(values, np.ndarray | list | tuple) or hasattr(values, "to_numpy")):
        flat = values.ravel() if isinstance(values, np.ndarray) else values
        known = (value for value in flat if value is not None and type(value).__name__ not in ("NAType", "NaTType"))
        values = next(known, None)
        values = values[0] if isinstance(values, list | tuple) and values else values
    return isinstance(values, TIMES)


def _of_objects(name: str, array: NDArray[Any]) -> Times:
    found = [_one(name, value) for value in array.ravel().tolist()]
    kinds = {each.kind for each in found if each.nanoseconds != MISSING}
    if len(kinds) > 1:
        raise UsageError(f"{name} must hold times of one kind, got {' and '.join(sorted(kinds))}")
    whole = np.array([each.nanoseconds for each in found], dtype=np.int64)
    return Times(next(iter(kinds), INSTANTS), whole.reshape(array.shape))


def _one(name: str, value: Any) -> Times:
    zone = getattr(value, "tzinfo", None)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return Times(INSTANTS, np.int64(MISSING))  # type: ignore[arg-type]
    if hasattr(value, "to_datetime64"):  # of pandas, with nanoseconds; in UTC where it has a zone
        value = value.to_datetime64()
    elif hasattr(value, "to_timedelta64"):
        value = value.to_timedelta64()
    elif zone is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(value, datetime.date | datetime.timedelta):
        value = np.timedelta64(value, "us") if isinstance(value, datetime.timedelta) else np.datetime64(value, "us")
    if not isinstance(value, np.datetime64 | np.timedelta64):
        raise UsageError(f"{name} must hold times alone, as its first row, got {value!r}")
    found = _of_dtype(name, value)
    assert found is not None
    return found._replace(kind=UTC) if zone is not None and found.kind == INSTANTS else found


def named_origin(origin: Any) -> str | None:
    """Return an origin that is named, a text or a time of any library, as scales have it.

    Raises:
        UsageError: If it is none.
    """
    if origin is None:
        return None
    expected = "time_origin must be an instant such as 2024-01-31 or 2024-01-31T12:00:00Z"
    if isinstance(origin, str):
        import pyarrow as pa

        for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
            try:
                return origin_of(pa.scalar(origin).cast(kind).cast(pa.int64()).as_py(), UTC if kind.tz else INSTANTS)
            except pa.ArrowInvalid:
                continue
        raise UsageError(f"{expected}, got {origin!r}")
    found = as_times("time_origin", origin)
    if found is None or found.kind == DURATIONS or found.nanoseconds.ndim or found.nanoseconds == MISSING:
        raise UsageError(f"{expected}, got {origin!r}")
    return origin_of(int(found.nanoseconds), found.kind)


def in_scale(name: str, values: Any, scale: TimeScale | None) -> Any:
    """Return values as numbers of a scale; tensors, which hold no times, are numbers of it already.

    Raises:
        UsageError: If they are not of the scale's kind.
    """
    if isinstance(values, Tensor) or values is None:
        return values
    times = as_times(name, values)
    if times is None and scale is None:
        return values
    if times is None or scale is None:
        got = ("text" if _holds_text(values) else "numbers") if times is None else times.kind
        expected = "numbers" if scale is None else f"{scale.kind} ({scale.words})"
        raise UsageError(
            f"{name} must hold {expected}, as the points of the fit do, got {got}{TEXT if got == 'text' else ''}"
        )
    return times.numbers(name, scale)


def _holds_text(values: Any) -> bool:
    """Tell whether a value is a text, or the first of a column is one."""
    if isinstance(values, np.ndarray):
        values = values.ravel().tolist()
    is_column = isinstance(values, list | tuple) or (hasattr(values, "dtype") and hasattr(values, "__iter__"))
    first = next(iter(values), None) if is_column else values
    return isinstance(first, str)


def timed_columns(
    named: Mapping[str, Any], time_unit: TimeUnit | None, time_origin: Any
) -> tuple[dict[str, Any], TimeScale | None, TimeScale | None]:
    """Return columns as numbers, and the scales of x and y if they hold times.

    Args:
        named: The columns by ``x``, ``y``, ``sigma`` and others: x may hold times, y and errors durations.
        time_unit: Unit of the numbers; seconds if ``None``.
        time_origin: The instant that is 0; the first x if ``None``.

    Raises:
        UsageError: If a column holds times that it cannot hold, or an option is none or has no effect.
    """
    require_option("time_unit", time_unit, or_null(one_of(TimeUnit)))
    origin = named_origin(time_origin)
    found = {name: times for name, values in named.items() if (times := as_times(name, values)) is not None}
    for name, times in found.items():
        if name not in ("x", "y", "sigma", "sigma_x") or (name != "x" and times.kind != DURATIONS):
            raise UsageError(
                f"{name} must hold numbers{' or durations' if name in 'y sigma_x' else ''}, got {times.kind}"
            )
    for error, column in (("sigma", "y"), ("sigma_x", "x")):
        if error in named and (error in found) != (column in found) and np.ndim(named[error]):
            raise UsageError(f"{error} and {column} must both hold times, or both numbers")
    require_effect(time_unit, origin, bool(found), "x" in found and found["x"].kind != DURATIONS)
    scales = {name: begun(time_unit, origin, times.kind, times.first) for name, times in found.items()}
    numbers = {name: times.numbers(name, scales[name]) for name, times in found.items()}
    return {**named, **numbers}, scales.get("x"), scales.get("y")


def require_effect(time_unit: str | None, origin: str | None, has_times: bool, has_instants: bool) -> None:
    """Refuse options of time where nothing has times."""
    if time_unit is not None and not has_times:
        raise UsageError(f"time_unit {time_unit} is for instants and durations, got numbers alone: leave it out")
    if origin is not None and not has_instants:
        raise UsageError(f"time_origin {origin} is for instants, got none: leave it out")


def begun(time_unit: str | None, origin: str | None, kind: str, first: int | None) -> TimeScale:
    """Return the scale of a column of times.

    Args:
        time_unit: Its unit; seconds if ``None``.
        origin: The instant that is 0, if one is named.
        kind: Which times they are.
        first: The first of them in nanoseconds, if there is one: the origin if none is named.
    """
    named = origin if origin is not None and kind != DURATIONS else origin_of(first or 0, kind)
    return TimeScale(time_unit or "s", named)  # type: ignore[arg-type]
