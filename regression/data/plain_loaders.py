"""Converts the batches of a user's loader, such as a ``DataLoader`` of ``(x, y)``, and reads it once as rows."""

from collections.abc import Mapping
from operator import length_hint
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from regression.common.arrays import as_columns, require_complete
from regression.common.errors import UsageError
from regression.common.points import Batch, Points, unknown_y
from regression.data.batches import GlobalBatches
from regression.data.rows import MemoryRows

__all__ = ["as_batch", "read_pass"]

NAMES = ("x", "y", "sigma")
ADVICE = "use regression.ArrayDataModule(x, y, sigma), or a DataLoader"


def as_batch(given: Any, needs_y: bool = True) -> Batch:
    """Return a batch of a plain loader as a ``Batch``; this process has all of its rows.

    Args:
        given: ``(x, y)``, ``(x, y, sigma)``, or anything with these as keys or fields: tensors or arrays of shape (n,)
            or (n, 1), or of one row.
        needs_y: Whether there must be a y; otherwise ``x`` alone or ``(x,)`` are accepted too.

    Raises:
        UsageError: If it is none of these, or a number is not finite, or a sigma not positive.
    """
    found = _fields(given)
    wanted = NAMES if needs_y else ("x", "sigma")
    named = {name: found[name] for name in wanted if found.get(name) is not None}
    if not (named.keys() >= ({"x", "y"} if needs_y else {"x"}) and all(map(_is_column, named.values()))):
        raise UsageError(
            f"expected batches of x, y and perhaps sigma, tensors of shape (n,), got {_kind(given)}: {ADVICE}"
        )
    x = named["x"]
    named["x"] = x.reshape(1) if isinstance(x, Tensor | np.ndarray) and x.ndim == 0 else x
    columns = dict(zip(named, as_columns(list(named), list(named.values()), may_stay=True), strict=True))
    require_complete(list(columns), list(columns.values()), can_omit=False)
    x = columns["x"]
    y = columns["y"] if needs_y else unknown_y(x)
    return Batch(x, y, columns.get("sigma"), len(x))


def _fields(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {name: given[name] for name in NAMES if name in given}
    if hasattr(given, "x"):
        return {name: getattr(given, name, None) for name in NAMES}
    values = list(given) if isinstance(given, tuple | list) else [given]
    return dict(zip(NAMES, values, strict=False)) if len(values) <= len(NAMES) else {}


def _is_column(values: Any) -> bool:
    """Tell whether a value is a column or a number; a list is not: Lightning passes a list of batches as one batch."""
    return isinstance(values, Tensor | np.ndarray | float | int)


def _kind(given: Any) -> str:
    if isinstance(given, tuple | list):
        return f"{type(given).__name__} of {', '.join(type(value).__name__ for value in given[:4]) or 'nothing'}"
    return type(given).__name__


def read_pass(loader: Any, batches: float) -> tuple[GlobalBatches, int]:
    """Read a plain loader once, and return its rows in memory, and how many rows it left out.

    The fit and its report use these rows. Another pass over the loader may yield others, for example because it leaves
    out rows at random.

    Args:
        loader: The loader.
        batches: How many of its batches make an epoch.

    Raises:
        UsageError: If it is not a single loader, has no known end, or yields something else than batches of points.
    """
    if isinstance(loader, list | tuple | Mapping):
        words = f"expected one loader of batches, got a {type(loader).__name__}"
        raise UsageError(f"{words}: {ADVICE}, which takes a list of batches as DataLoader(list, batch_size=None)")
    if batches == float("inf"):
        raise UsageError("expected a loader with a length, got one whose end is not known: give limit_train_batches")
    parts, left_out = list[Points](), _dropped(loader)
    for index, given in enumerate(loader):
        batch = as_batch(given)
        if index < batches:
            parts.append(batch.to(torch.device("cpu")).points)
        else:
            left_out += len(batch.x)
        if index + 1 >= batches and length_hint(loader, -1) < 0:
            break  # the rest of the loader has no known end
    if not sum(len(part.x) for part in parts):
        raise UsageError(f"expected batches of points, got none from the {type(loader).__name__}")
    if len({part.sigma is None for part in parts}) > 1:
        raise UsageError("expected a sigma in all batches or in none, got some with and some without")
    # Copied, because a loader may reuse the memory of its batches.
    rows = MemoryRows(Points.joined([part.copied() for part in parts]))
    return GlobalBatches(rows, max(len(part.x) for part in parts)), left_out


def _dropped(loader: Any) -> int:
    """Return the number of rows that ``drop_last`` leaves out."""
    if not (isinstance(loader, DataLoader) and loader.drop_last and loader.batch_size):
        return 0
    return len(loader.sampler) - len(loader) * loader.batch_size  # type: ignore[arg-type]
