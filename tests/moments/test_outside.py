"""Numbers outside of the frame: counted alike by plain Python and by compiled loops."""

import math

import pytest
import torch

from regression.common.errors import UsageError
from regression.common.points import Points
from regression.curves.frame import Frame
from regression.moments.scan import Sums

FRAME = Frame.of((0.0, 1.0), (0.0, 1.0), 1.0)


@pytest.mark.parametrize("rows", [10, 30_000])
@pytest.mark.parametrize(
    ("column", "value"),
    [(0, math.nan), (0, math.inf), (0, 1e300), (1, math.nan), (1, -math.inf), (1, 1.5), (2, math.nan), (2, math.inf),
     (2, 0.0), (2, -1.0), (2, 1e-200)],
)  # fmt: skip
def test_a_number_outside_is_refused_however_many_rows_there_are(rows: int, column: int, value: float) -> None:
    """Plain Python, which takes few rows, refuses what compiled loops refuse, in the same words."""
    points = torch.linspace(0, 1, rows, dtype=torch.float64).repeat(3, 1)
    points[2] += 1
    points[column, 3] = value
    with pytest.raises(UsageError, match=f"range that was found or stated before: 1 in {rows:,} rows"):
        Sums(FRAME, 2).add(Points(*points))
