"""Converts columns of any library to float64, or refuses them with a message of one line.

Arrays are refused for the same reasons as files: values that are not real numbers, and whole numbers that float64 would
round.
"""

import math
import os
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.rules import one_of, require_option
from regression.common.text import counted

__all__ = [
    "NanPolicy",
    "as_column",
    "as_columns",
    "as_float64",
    "as_number",
    "as_plain",
    "as_points",
    "as_tensor",
    "as_whole",
    "complete_columns",
    "require_complete",
    "require_each",
]

NanPolicy = Literal["raise", "omit"]
MAX_EXACT = 2**53  # up to here every whole number is a float64 number
ADVICE = {  # on numbers that are refused, by numpy's letters for their kinds
    "b": "give 0 and 1 if they are meant as numbers",
    "c": "take its real part, or its size, first",
    "M": "give numbers, such as seconds since the first instant",
    "m": "give numbers, such as seconds",
}

Array = NDArray[Any]


def as_columns(names: Sequence[str], given: Sequence[Any], may_stay: bool = False) -> list[Tensor]:
    """Return columns of one length, float64 of shape (N,); missing and masked numbers are NaN.

    Args:
        names: Names of the columns, for error messages.
        given: Lists, arrays, tensors, or columns of pandas, polars or pyarrow, of shape (N,) or (N, 1); after the first
            one also a single number for all rows.
        may_stay: Whether a tensor on a CUDA device stays there, in float32 if that is its type.

    Raises:
        UsageError: If a column does not hold real numbers, or the columns differ in length or device.
    """
    columns = [as_column(name, values, may_stay) for name, values in zip(names, given, strict=True)]
    columns = [column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column for column in columns]
    if columns[0].ndim == 1:
        columns[1:] = [column.expand(len(columns[0])) if column.ndim == 0 else column for column in columns[1:]]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    if any(column.ndim != 1 or len(column) != len(columns[0]) for column in columns):
        raise UsageError(f"{listed} must be of one length, got shapes {[tuple(column.shape) for column in columns]}")
    if len(devices := {str(column.device) for column in columns}) > 1:
        raise UsageError(f"{listed} must be on one device, got {' and '.join(sorted(devices))}")
    return columns


def as_column(name: str, values: Any, may_stay: bool = False) -> Tensor:
    """Return numbers as a float64 tensor of the same shape; missing and masked ones are NaN.

    Args:
        name: Name of the column, for error messages.
        values: The numbers.
        may_stay: Whether a tensor on a CUDA device stays there, in float32 if that is its type.

    Raises:
        UsageError: If they are not real numbers, or are whole numbers that float64 would round.
    """
    if isinstance(values, Tensor):
        return _of_tensor(name, values.detach(), may_stay)
    if isinstance(values, np.ma.MaskedArray):
        column = torch.from_numpy(as_float64(name, np.asarray(values.data)).copy())
        column[torch.from_numpy(np.ma.getmaskarray(values).copy())] = math.nan
        return column
    array = as_float64(name, _as_array(name, values))
    if isinstance(values, list | tuple) and any(isinstance(v, int) and abs(v) > MAX_EXACT for v in values):
        raise _rounded(name)  # numpy may have converted them to float64 already
    return as_tensor(array)


def as_points(name: str, values: Any) -> Tensor:
    """Return a number, or numbers of shape (N,) or (N, 1), as a float64 tensor of that shape."""
    points = as_column(name, values)
    if points.ndim > 1 and points.shape[1:] != (1,):
        raise UsageError(f"{name} must be a number or of shape (N,) or (N, 1), got shape {tuple(points.shape)}")
    return points


def as_tensor(array: Array) -> Tensor:
    """Return an array as a tensor: a view, or a copy if the array is read-only or not contiguous.

    Torch warns of read-only arrays and refuses negative strides.
    """
    is_plain = array.flags.writeable and array.flags.c_contiguous
    return torch.from_numpy(array if is_plain else array.copy(order="C"))


def _of_tensor(name: str, values: Tensor, may_stay: bool) -> Tensor:
    if values.layout != torch.strided or values.is_meta or values.is_quantized:
        found = "meta" if values.is_meta else "quantized" if values.is_quantized else str(values.layout)
        raise UsageError(f"{name} must be a dense tensor of numbers, got one that is {found}: convert it first")
    if values.is_complex() or values.dtype == torch.bool:
        raise _not_real(name, str(values.dtype), "c" if values.is_complex() else "b")
    if not values.is_floating_point() and values.numel():
        low, high = (int(value) for value in values.aminmax())
        if max(-low, high) > MAX_EXACT:
            raise _rounded(name)
    if may_stay and values.is_cuda:
        return values if values.dtype == torch.float32 else values.to(torch.float64)
    return values.to(torch.float64).cpu()


def _as_array(name: str, values: Any) -> Array:
    """Return the values of a column of any library, without its labels."""
    try:
        if hasattr(values, "combine_chunks"):  # a pyarrow column that consists of several arrays
            values = values.combine_chunks()
        if type(values).__module__.startswith("pyarrow"):
            return np.asarray(values.to_numpy(zero_copy_only=False))
        return np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    except Exception as error:  # libraries raise exceptions of many types for objects that are not columns
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"{name} must be a column of numbers, got {type(values).__name__}: {reason}") from None


def as_float64(name: str, array: Array) -> Array:
    """Return an array as float64, itself if it is float64; refuse values that are not real or would be rounded."""
    kind = array.dtype.kind
    if kind == "O":
        array = _of_objects(name, array)
    elif kind not in "fiu":
        raise _not_real(name, str(array.dtype), kind)
    if array.dtype.kind in "iu" and array.size and max(-int(array.min()), int(array.max())) > MAX_EXACT:
        raise _rounded(name)
    result = array.astype(np.float64, copy=False)
    if array.dtype.itemsize > result.dtype.itemsize and ((result != array) & ~np.isnan(array)).any():
        raise UsageError(f"{name} holds numbers that float64 would round, got type {array.dtype}: round them yourself")
    return result


def _of_objects(name: str, array: Array) -> Array:
    """Return an array of Python's numbers as float64, with NaN for ``None`` and for pandas' NA."""
    values = [math.nan if v is None or type(v).__name__ in ("NAType", "NaTType") else v for v in array.ravel().tolist()]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise _not_real(name, type(value).__name__, "O")
        if isinstance(value, int) and abs(value) > MAX_EXACT:
            raise _rounded(name)
        if isinstance(value, Decimal) and value.is_finite() and Decimal(repr(float(value))) != value:
            raise UsageError(f"{name} holds decimals of more digits than float64 has: round them yourself")
    return np.array(values, dtype=np.float64).reshape(array.shape)


def _not_real(name: str, kind: str, letter: str) -> UsageError:
    return UsageError(f"{name} must hold real numbers, got type {kind}: {ADVICE.get(letter, 'convert it to float64')}")


def _rounded(name: str) -> UsageError:
    return UsageError(f"{name}: whole numbers beyond 2^53 lose digits in float64: subtract an offset first")


def as_whole(value: Any) -> Any:
    """Return a whole number of any library as an int; return anything else unchanged, for a later check to refuse."""
    return value if isinstance(value, bool) or not isinstance(value, Integral) else int(value)


def as_plain(value: Any) -> Any:
    """Return options with numpy's numbers as Python's and paths as strings, because JSON and checkpoints need these."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: as_plain(item) for name, item in value.items()}
    if isinstance(value, Set | range):
        return list(map(as_plain, value))
    return type(value)(map(as_plain, value)) if type(value) in (list, tuple) else value


def complete_columns(
    names: Sequence[str], given: Sequence[Any], nan_policy: NanPolicy, may_stay: bool = False
) -> tuple[list[Tensor], Tensor]:
    """Return columns as ``as_columns`` does, and a mask of the rows that are kept, shape (N,).

    With the policy ``raise`` all rows are kept and the mask is empty: the caller checks the numbers when it reads them.
    """
    require_option("nan_policy", nan_policy, one_of(NanPolicy))
    columns = as_columns(names, given, may_stay)
    if nan_policy == "raise":
        return columns, torch.ones(0, dtype=torch.bool)
    is_complete = torch.stack([column.isfinite() for column in columns]).all(dim=0)
    if not is_complete.any():
        raise UsageError(f"no row is left: each of {counted(len(is_complete), 'row')} has a missing or infinite number")
    return [column[is_complete] for column in columns], is_complete


def require_complete(names: Sequence[str], columns: Sequence[Tensor], can_omit: bool = True) -> None:
    """Refuse rows with a number that is missing or infinite, or a sigma that is not positive.

    Args:
        names: Names of the columns, for error messages.
        columns: The columns, of one length.
        can_omit: Whether the caller has a ``nan_policy`` that can leave such rows out, for the advice.

    Raises:
        UsageError: If there are such rows; names the first one and their number.
    """
    for name, column in zip(names, columns, strict=False):
        if not column.sum().isfinite():  # if the sum is finite, all terms are: faster than a check of each number
            advice = '; nan_policy="omit" leaves such rows out' if can_omit else "; leave such rows out"
            require_each(name, column, column.isfinite(), "finite", advice)
        if name in ("sigma", "sigma_x"):
            require_each(name, column, column > 0, "positive")


def require_each(name: str, column: Tensor, is_good: Tensor, expected: str, advice: str = "") -> None:
    """Refuse a column unless all its rows are good; the message names the first bad row and the number of them."""
    if not is_good.all():
        bad = ~is_good
        row = int(bad.int().argmax())
        raise UsageError(
            f"{name} must be {expected}, got {column[row].item()} at row {row} (the first is row 0), and "
            f"{counted(int(bad.sum()), 'such row')} in all{advice}"
        )


def as_number(name: str, value: Any) -> float:
    """Return a single finite number."""
    column = as_column(name, value)
    if column.numel() != 1 or not column.isfinite().all():
        raise UsageError(f"{name} must be a finite number, got {value}")
    return float(column)
