"""Arrays of a fit's numbers, which in conditions behave as lists do."""

from typing import Any

import numpy as np

__all__ = ["Numbers"]


class Numbers(np.ndarray[Any, np.dtype[np.float64]]):
    """A float64 array that nobody can change by accident.

    As of a list, its truth is whether it holds anything, and ``a == b`` and ``a != b`` are true or false where a
    condition asks, and arrays otherwise. What is computed from it is a plain array.
    """

    __hash__ = None

    @classmethod
    def of(cls, values: Any) -> "Numbers":
        """Return a copy of numbers, to be read only."""
        result = np.array(values, dtype=np.float64).view(cls)
        result.flags.writeable = False
        return result

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __bool__(self) -> bool:
        return self.size > 0

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(int(key) if isinstance(key, bool) else key)

    def __eq__(self, other: object) -> Any:
        return _compared(np.equal, self, other, _Equal)

    def __ne__(self, other: object) -> Any:
        return _compared(np.not_equal, self, other, _Different)


class _Equal(np.ndarray[Any, np.dtype[np.bool_]]):
    def __bool__(self) -> bool:
        return bool(np.asarray(self).all())


class _Different(np.ndarray[Any, np.dtype[np.bool_]]):
    def __bool__(self) -> bool:
        return bool(np.asarray(self).any())


def _compared(compare: Any, numbers: Numbers, other: Any, kind: type[np.ndarray[Any, Any]]) -> Any:
    if getattr(other, "__array_ufunc__", True) is None:  # it compares itself with arrays
        return NotImplemented
    try:
        return np.asarray(compare(np.asarray(numbers), np.asarray(other))).view(kind)
    except (TypeError, ValueError):  # of another kind, or length
        return kind is _Different
