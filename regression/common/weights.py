"""Weights that are not given as sigma but as reciprocal variances, or as counts of equal observations."""

from collections.abc import Callable

import torch
from torch import Tensor

from regression.common.arrays import require_complete, require_each
from regression.common.errors import UsageError
from regression.common.points import Points

__all__ = ["as_sigma", "repeated", "scan_repeated", "sigma_of", "whole_counts"]

OBSERVATIONS_PER_PART = 1 << 20
MAX_OBSERVATIONS = 10**11  # which take a quarter of an hour on one core


def as_sigma(weights: Tensor) -> Tensor:
    """Return the sigma of points with weights w, shape (N,): ``1 / √w``.

    Raises:
        UsageError: If a weight is not positive and finite.
    """
    require_complete(["weights"], [weights])
    require_each("weights", weights, weights > 0, "positive (leave rows without weight out)")
    return sigma_of(weights)


def sigma_of(weights: Tensor) -> Tensor:
    """Return ``1 / √w`` of positive weights in float64."""
    return 1 / weights.double().sqrt()


def whole_counts(counts: Tensor) -> Tensor:
    """Return counts of observations as int64, shape (N,).

    Raises:
        UsageError: If one is not a whole number of at least 0, or if they add up to 0 or to more than 10^11.
    """
    require_complete(["counts"], [counts])
    require_each("counts", counts, (counts >= 0) & (counts == counts.round()), "a whole number of at least 0")
    total = float(counts.sum())
    if not 1 <= total <= MAX_OBSERVATIONS:
        raise UsageError(f"counts must add up to 1 to 10^11 observations, got {total:g}")
    return counts.long()


def scan_repeated(points: Points, counts: Tensor, work: Callable[[Points], None]) -> None:
    """Call ``work`` with parts of the points, each point repeated as often as its count says, shape (N,).

    So the sums have the same bits as those of the single observations, and no other code has to handle counts.
    """
    ends = counts.cumsum(0)
    total = int(ends[-1])
    for start in range(0, total, OBSERVATIONS_PER_PART):
        observations = torch.arange(start, min(start + OBSERVATIONS_PER_PART, total), device=ends.device)
        points.chosen(torch.searchsorted(ends, observations, right=True)).scan(work)


def repeated(points: Points, counts: Tensor) -> Points:
    """Return the points, each as often as its count says, shape (N,), in their order."""
    return points.chosen(torch.repeat_interleave(counts))
