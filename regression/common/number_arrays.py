"""Arrays of a fit's numbers, which in conditions behave as lists do."""

from typing import Any

import numpy as np

__all__ = ["Numbers"]


class Numbers(np.ndarray[Any, np.dtype[np.float64]]):
    """A read-only float64 array that behaves as a list in conditions.

    ``if a`` asks whether it has elements; ``if a == b`` and ``if a != b`` compare whole arrays, although ``a == b`` is
    an array of comparisons. Results of computations are plain arrays.
    """

    __hash__ = None

    @classmethod
    def of(cls, values: Any) -> "Numbers":
        """Return a read-only copy of numbers."""
        result = np.array(values, dtype=np.float64).view(cls)
        result.flags.writeable = False
        return result

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return np.asarray(array)[()]  # a number of what has no dimension: numpy 1.26 does not ask for it

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
    if getattr(other, "__array_ufunc__", True) is None:  # numpy's mark of a class with its own comparison to arrays
        return NotImplemented
    try:
        return np.asarray(compare(np.asarray(numbers), np.asarray(other))).view(kind)
    except (TypeError, ValueError):  # not numbers, or of another length
        return kind is _Different
