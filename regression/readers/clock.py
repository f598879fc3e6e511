"""The times of a table as numbers, on one scale for each column in all files."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from regression.common.collectives import all_gather_objects
from regression.common.errors import DataError, UsageError
from regression.common.time_scale import DURATIONS, TimeScale, TimeUnit
from regression.common.times import MISSING, Times, begun, require_effect

__all__ = ["ROLES", "Clock"]

ROLES = ("x", "y", "sigma")


class Clock:
    """Converts the times in the columns of a table to numbers.

    Readers report which times a column holds when they open a file. If no origin is given, a first scan finds the
    earliest instant, which becomes 0; the numbers of that scan have no meaning.

    Args:
        unit: Unit of the numbers; seconds if ``None``.
        origin: The instant that is 0, as in ``TimeScale``; the first one if ``None``.
        like: The scale of points that were fitted or read before, for what is not given.

    Attributes:
        scales: Scale of each column of times, by its role: ``x``, ``y``, ``sigma`` or ``sigma_x``.
    """

    def __init__(self, unit: TimeUnit | None = None, origin: str | None = None, like: TimeScale | None = None) -> None:
        self._unit = unit or (like.unit if like else None)
        self._origin = origin or (like.origin if like else None)
        self._has_effect = like is not None  # otherwise ``begin`` checks it, when all files are open
        self._kinds: dict[str, str | None] = {}
        self._firsts: list[int] = []
        self.scales: dict[str, TimeScale] = {}

    def expect(self, title: str, role: str, kind: str | None) -> None:
        """Record which kind of times a column of a file holds, ``None`` for numbers.

        Raises:
            DataError: If a column of that role cannot hold them, or holds another kind in another file.
        """
        allowed = {"x": "times", "y": "durations", "sigma": "durations", "sigma_x": "durations"}.get(role)
        if kind is not None and allowed != "times" and (allowed is None or kind != DURATIONS):
            expected = "numbers" if allowed is None else f"numbers or {allowed}"
            raise DataError(f"{title} must hold {expected}, got {kind}: choose another column")
        before = self._kinds.setdefault(role, kind)
        if before != kind:
            raise DataError(f"{title} holds {kind or 'numbers'}, and that of another file {before or 'numbers'}")

    def numbers(self, title: str, role: str, nanoseconds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return times as numbers, NaN for missing ones; without a scale, record the first one and return 0 for all.

        Raises:
            UsageError: If float64 would round them.
        """
        scale, kind = self.scales.get(role), self._kinds[role]
        if scale is not None and kind is not None:
            return Times(kind, nanoseconds).numbers(title, scale)
        is_known = nanoseconds != MISSING
        if is_known.any():
            self._firsts.append(int(nanoseconds[is_known].min()))  # several threads append
        return np.where(is_known, 0.0, np.nan)

    def begin(self, scan: Callable[[], object]) -> None:
        """Set the scales, when all files are open.

        Args:
            scan: Calls ``numbers`` for all rows, shared out over the processes, to find the first instant.

        Raises:
            UsageError: If an option of time has no effect, or only one of a column and its sigma holds times.
        """
        kinds = {role: kind for role, kind in self._kinds.items() if kind is not None}
        has_instants = kinds.get("x") not in (None, DURATIONS)
        if not self._has_effect:
            require_effect(self._unit, self._origin, bool(kinds), has_instants)
        for error, of in (("sigma", "y"), ("sigma_x", "x")):
            if {error, of} <= self._kinds.keys() and (error in kinds) != (of in kinds):
                raise UsageError(f"{error} and {of} must both hold times, or both numbers")
        first = None
        self.scales = {role: TimeScale(self._unit or "s") for role, kind in kinds.items() if kind == DURATIONS}
        if has_instants and self._origin is None:
            scan()
            firsts = [min(part) for part in all_gather_objects(self._firsts) if part]
            first = min(firsts, default=None)
        if has_instants:
            self.scales["x"] = begun(self._unit, self._origin, kinds["x"], first)
