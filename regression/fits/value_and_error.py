"""How a value and its error are rounded for people."""

import math
from decimal import ROUND_HALF_UP, Decimal

__all__ = ["value_and_error"]

DIGITS = 17  # that tell any two float64 numbers apart


def value_and_error(value: float, error: float | None) -> str:
    """Return ``value ± error`` rounded by the rule of the Particle Data Group.

    The error's three leading digits decide: 100 to 354 keep two digits, 355 to 949 keep one, and 950 to 999 are
    rounded up to 1000 and keep two. The value is rounded to the same decimal.

    >>> value_and_error(0.827, 0.119)
    '0.83 ± 0.12'
    >>> value_and_error(0.827, 0.367)
    '0.8 ± 0.4'
    >>> value_and_error(0.827, 0.967)
    '0.8 ± 1.0'
    >>> value_and_error(-123456.0, 2345.0)
    '(-1.235 ± 0.023)e+05'
    >>> value_and_error(2.5, None)
    '2.5 ± unknown'
    >>> value_and_error(2.5, 0.0)
    '2.5, exact'

    Args:
        value: The value.
        error: Its standard error; ``None`` if unknown, 0 if the curve goes through every point.
    """
    if error is None or not math.isfinite(error):
        return f"{value:.6g} ± unknown"
    if error == 0:
        return f"{value:.8g}, exact"
    if error < abs(value) * 10.0**-DIGITS:  # which no float64 number shows
        return f"{value:.{DIGITS}g} ± {error:.1e}"
    if error < 1e-290 or not math.isfinite(value):  # the powers of ten below would leave float64
        return f"{value:.3g} ± {error:.1g}"
    exponent = math.floor(math.log10(error))
    leading = round(error / 10.0**exponent * 100)
    if leading >= 1000:
        exponent, leading = exponent + 1, leading // 10
    decimals = -exponent + (1 if leading < 355 else 0)
    if leading >= 950:
        error, decimals = 10.0 ** (exponent + 1), -exponent
    power = math.floor(math.log10(max(abs(value), error)))
    if -4 <= power < 5 and decimals >= 0:
        return f"{_rounded(value, decimals)} ± {_rounded(error, decimals)}"
    shift, places = 10.0**-power, max(decimals + power, 0)
    return f"({_rounded(value * shift, places)} ± {_rounded(error * shift, places)})e{power:+03d}"


def _rounded(value: float, places: int) -> str:
    """Return a number with so many decimals, halves rounded up as people do."""
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
