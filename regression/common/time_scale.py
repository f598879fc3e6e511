"""Instants and durations as numbers: the time since an origin, in a unit."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from regression.common.errors import UsageError

__all__ = ["DURATIONS", "INSTANTS", "UTC", "TimeScale", "TimeUnit", "headed", "origin_of", "shown_by", "shown_instant"]

TimeUnit = Literal["ns", "us", "ms", "s", "min", "h", "d"]
NANOSECONDS = dict(
    zip(get_args(TimeUnit), (1, 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9, 86400 * 10**9), strict=True)
)
DURATIONS, INSTANTS, UTC = "durations", "instants without a time zone", "instants with a time zone"
STORED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z?")
EXACT = 2**51  # whole numbers up to here can be told from the float64 number that is nearest to them in any unit
ROUNDED = {  # by the nanoseconds of the units that are counted in farther away
    10**3: "nanoseconds more than 26 days from the origin, which float64 would round: round them to microseconds, or "
    "name a nearer time_origin",
    10**6: "microseconds more than 71 years from the origin, which float64 would round: round them to milliseconds, or "
    "name a nearer time_origin",
}
LIMIT = 2**63 - 1


@dataclass(frozen=True)
class TimeScale:
    """What the numbers of a column of times mean.

    Attributes:
        unit: Their unit.
        origin: The instant that is 0, as ``2024-01-01T00:00:00``, with a ``Z`` where times have a zone and are
            therefore those of UTC; ``None`` for durations.

    Raises:
        ValueError: If the unit or the origin is none.
    """

    unit: TimeUnit
    origin: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in NANOSECONDS:
            raise ValueError(f"a unit of time must be one of {', '.join(NANOSECONDS)}, got {self.unit!r}")
        if self.origin is not None and not (isinstance(self.origin, str) and STORED.fullmatch(self.origin)):
            raise ValueError(f"an origin of time must be such as 2024-01-01T00:00:00, got {self.origin!r}")

    @classmethod
    def stored(cls, value: Mapping[str, Any] | None) -> Self | None:
        """Return what a file holds of a scale, which is nothing for plain numbers."""
        return None if value is None else cls(**value)

    @property
    def kind(self) -> str:
        """What kind of times it is for."""
        return DURATIONS if self.origin is None else UTC if self.origin.endswith("Z") else INSTANTS

    @property
    def words(self) -> str:
        """The unit, and the origin if there is one, such as ``h since 2024-01-01T00:00:00``."""
        return self.unit if self.origin is None else f"{self.unit} since {self.origin}"

    @property
    def origin_ns(self) -> int:
        """The origin in nanoseconds since 1970."""
        return 0 if self.origin is None else int(np.datetime64(self.origin.removesuffix("Z"), "ns").astype(np.int64))

    def numbers(self, name: str, nanoseconds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return times as numbers.

        The difference from the origin is taken in whole nanoseconds, and rounded once, by the division by the unit.

        Args:
            name: What to call them in errors.
            nanoseconds: Nanoseconds since 1970, or of durations.

        Raises:
            UsageError: If float64 numbers do not tell them from their neighbours.
        """
        if not nanoseconds.size:
            return nanoseconds.astype(np.float64)
        origin, per_unit = self.origin_ns, NANOSECONDS[self.unit]
        if max(abs(int(end) - origin) for end in (nanoseconds.min(), nanoseconds.max())) > LIMIT:
            raise UsageError(
                f"{name} holds instants more than 292 years from the origin {self.origin}: name a nearer one"
            )
        since = nanoseconds - origin
        result = since / float(per_unit)
        far = np.abs(since) > EXACT
        for step in ROUNDED:
            if not far.any():
                break
            if (since[far] % step).any():
                raise UsageError(f"{name} holds {ROUNDED[step]}")
            whole = since[far] // step
            result[far] = whole / (per_unit / step) if per_unit >= step else whole * float(step // per_unit)
            far = np.abs(since) > EXACT * step
        return result

    def times(self, numbers: Any) -> NDArray[Any]:
        """Return numbers of this scale as times, ``datetime64[ns]`` (in UTC where there was a time zone).

        Durations are ``timedelta64[ns]``; what no such type can hold is NaT.

        Args:
            numbers: The numbers, of any shape.
        """
        given, per_unit = np.asarray(numbers, dtype=np.float64), NANOSECONDS[self.unit]
        is_known = np.abs(given * float(per_unit) + float(self.origin_ns)) < 2.0**63 - 2048
        known = np.where(is_known, given, 0.0)
        whole = np.floor(known)
        # In two parts, since their product with the unit may have more digits than float64 has.
        since = whole.astype(np.int64) * per_unit + np.rint((known - whole) * per_unit).astype(np.int64)
        for step in ROUNDED:  # as it was before numbers() rounded it
            since = np.where(np.abs(since) > EXACT * (step // 1000), (since + step // 2) // step * step, since)
        found = (since + self.origin_ns).view("m8[ns]" if self.origin is None else "M8[ns]")
        return np.where(is_known, found, np.array("NaT", found.dtype))

    def shown(self, number: float) -> str:
        """Return a number as text: an instant where there is an origin."""
        return f"{number:.6g}" if self.origin is None else shown_instant(self.times(number), self.kind)


def shown_by(scale: TimeScale | None) -> Callable[[float], str]:
    """Return what writes a number of a column: an instant where it is one, with the unit and origin if none has it."""

    def shown(number: float) -> str:
        if scale is None or scale.origin is None:
            return f"{number:.8g}"
        return f"{number:.8g} {scale.words}" if np.isnat(scale.times(number)) else scale.shown(number)

    return shown


def headed(name: str, scale: TimeScale | None) -> str:
    """Return what to call a column, with the unit and origin of times."""
    return name if scale is None else f"{name} ({scale.words})"


def shown_instant(instant: Any, kind: str) -> str:
    """Return an instant, a ``datetime64[ns]``, as text without the zeros of a fraction."""
    text = np.datetime_as_string(np.asarray(instant, "M8[ns]")).item()
    return text.rstrip("0").rstrip(".") + "Z" * (kind == UTC) if "." in text else text


def origin_of(nanoseconds: int, kind: str) -> str | None:
    """Return an origin as scales have it, from nanoseconds since 1970; ``None`` for durations."""
    return None if kind == DURATIONS else shown_instant(np.array(nanoseconds).view("M8[ns]"), kind)
