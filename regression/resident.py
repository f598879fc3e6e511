"""Moments in double of points that are on a CUDA device, from a single reading of them.

Range and sums usually take two readings, as u must be known before there are sums. Here a sample tells u, and the
kernel that takes the sums finds the range too. Where that is much larger than the sample's, the reading was in vain.
"""

import math
from dataclasses import replace

from torch import Tensor

from regression.collectives import rank_and_size
from regression.errors import UsageError
from regression.floatingpoint import about_zero
from regression.fused import double_gram, takes_double
from regression.moments import Frame, Moments
from regression.rows import Points

__all__ = ["from_one_reading"]

SAMPLE = 1 << 16  # rows
LARGEST_TERM = 2.0  # of |T_d(u)|: beyond, other points' terms would be lost beside those outside the sample's range


def from_one_reading(x: Tensor, y: Tensor, degree: int) -> Moments | None:
    """Return the moments of points in double; ``None`` where it takes more than one reading.

    Args:
        x: Points, shape (n,).
        y: Values, shape (n,).
        degree: Highest degree to serve.
    """
    if rank_and_size()[1] > 1:  # the processes would have to agree on the sample, and on whether it will do
        return None
    every = slice(None, None, max(1, len(x) // SAMPLE))
    try:
        frame = Frame.of([Points(x[every], y[every], None)], "double")
    except UsageError:  # which a reading of all points explains better
        return None
    if frame.low == frame.high or not takes_double(x, y, None, frame, degree):
        return None
    gram, (low, high, y_low, y_high) = double_gram(x, y, None, frame, degree, ranged=True)
    if not gram or not all(map(math.isfinite, (low, high, y_low, y_high))):
        return None
    frame = replace(frame, low=low, high=high)
    if math.cosh(degree * math.acosh(max(1.0, frame.reach / frame.half_width))) > LARGEST_TERM:
        return None
    return Moments.of_gram(about_zero(gram, frame.y_center), frame, len(x))
