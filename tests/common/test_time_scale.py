"""Times are numbers of their scale to the last digit of float64, and the same times again; or they are refused."""

from fractions import Fraction

import numpy as np
import pytest

from regression import UsageError
from regression.common.time_scale import NANOSECONDS, TimeScale

ORIGINS = ["1970-01-01T00:00:00", "1999-12-31T23:59:59.123456789Z", None]
NEAR, FAR, FARTHEST = 2**51, 2**51 * 1000, 2**62


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("unit", NANOSECONDS)
@pytest.mark.parametrize(("low", "high", "step"), [(0, NEAR, 1), (NEAR, FAR, 10**3), (FAR, FARTHEST, 10**6)])
def test_a_time_is_its_nearest_number_and_back(unit: str, origin: str | None, low: int, high: int, step: int) -> None:
    """A number is the float64 nearest to the quotient of whole numbers, and gives the time to the nanosecond."""
    draw = np.random.default_rng(0)
    since = draw.integers(low, high, 300) // step * step * draw.choice([-1, 1], 300)
    scale = TimeScale(unit, origin)  # type: ignore[arg-type]
    numbers = scale.numbers("x", since + scale.origin_ns)
    exact = [Fraction(value, NANOSECONDS[unit]) for value in since.tolist()]
    assert numbers.tolist() == [value.numerator / value.denominator for value in exact]
    assert (scale.times(numbers).astype(np.int64) - scale.origin_ns).tolist() == since.tolist()


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (
            NEAR + 1,
            "x holds nanoseconds more than 26 days from the origin, which float64 would round: round",
        ),
        (FAR + 10**3, "x holds microseconds more than 71 years from the origin, which float64 would round"),
        (-(2**62), "x holds instants more than 292 years from the origin 2200-01-01T00:00:00: name a nearer one"),
    ],
)
def test_digits_are_not_lost(nanoseconds: int, words: str) -> None:
    """Nanoseconds that float64 would round are refused, and so is what is too far away."""
    scale = TimeScale("s", "2200-01-01T00:00:00" if nanoseconds < 0 else None)
    with pytest.raises(UsageError) as refusal:
        scale.numbers("x", np.array([0, nanoseconds]))
    assert words in str(refusal.value)


def test_what_no_time_can_hold_is_no_time() -> None:
    """Numbers beyond the times that there are, and missing ones, are NaT."""
    found = TimeScale("d", "2024-01-01T00:00:00").times([1.5, np.nan, np.inf, 1e9])
    np.testing.assert_array_equal(found, np.array(["2024-01-02T12", "NaT", "NaT", "NaT"], "M8[ns]"))


@pytest.mark.parametrize("value", [{"unit": "week"}, {"unit": "s", "origin": "yesterday"}, {"unit": "s", "origin": 3}])
def test_a_stored_scale_is_checked(value: dict[str, str]) -> None:
    """Units and origins that are none are refused."""
    with pytest.raises(ValueError, match=r"must be (one of|such as)"):
        TimeScale.stored(value)
