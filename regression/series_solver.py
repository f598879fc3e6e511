"""From the sums of many series to their least-squares polynomials. Torch only."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from regression.errors import UsageError
from regression.series import CutSums, Series
from regression.series_problem import Problem, SeriesSolution
from regression.series_terms import Frames
from regression.sums import shared_out

__all__ = ["solve_all", "solve_series"]

ROWS = 1 << 15  # series that are solved together: their numbers stay in the cache


def solve_series(series: Series) -> SeriesSolution:
    """Return the least-squares polynomial of each series, in their order.

    Args:
        series: With the sums of all their points; the solutions are written over their sums and ranges.
    """
    result = SeriesSolution.over(series)

    def work(parts: Iterator[slice]) -> None:
        for part in parts:
            problem = Problem(
                series.nobs[part], Frames.of(series.ends[:, part]), series.sums[..., part], series.arithmetic
            )
            problem.solve(result.chosen(part))

    shared_out(work, series.nobs, ROWS)
    return result


def solve_all(series: Series, again: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, SeriesSolution]:
    """Return the codes of all series and their polynomials.

    Args:
        series: What one pass over the points of all processes found; its memory is used up.
        again: Yields codes, x and y of this process's points once more, for the sums of series that were cut; not
            read where there are none.

    Raises:
        UsageError: If there is no point.
    """
    if not len(series.codes):
        raise UsageError("there are no rows to fit: expected at least one point")
    is_whole, groups = series.times == 1, [series]
    if not bool(is_whole.all()):
        cut = CutSums(series.chosen(~is_whole))
        for points in again:
            cut.add(*points)
        groups = [group for group in (series.chosen(is_whole), cut.reduced()) if len(group.codes)]
    codes = [group.codes for group in groups]
    return codes[0] if len(codes) == 1 else torch.cat(codes), SeriesSolution.joined(
        [solve_series(group) for group in groups]
    )
