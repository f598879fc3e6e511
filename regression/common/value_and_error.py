"""Rounds a value and its standard error to the digits that the error leaves significant."""

import math
from decimal import ROUND_HALF_UP, Decimal

__all__ = ["value_and_error"]

FLOAT64_DIGITS = 17  # so many decimal digits distinguish any two float64 numbers
MAX_INTEGER_DIGITS = 15  # numbers with more digits before the decimal point get an exponent


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
    if (
        not math.isfinite(value) or error < abs(value) * 10.0**-FLOAT64_DIGITS
    ):  # the error is smaller than float64's digits
        return f"{value:.{FLOAT64_DIGITS}g} ± {error:.1e}"
    number, spread = Decimal(repr(float(value))), Decimal(repr(float(error)))  # float: numpy's repr has its type too

    exponent = spread.adjusted()
    leading = round(spread.scaleb(2 - exponent))
    if leading >= 1000:
        exponent, leading = exponent + 1, leading // 10
    decimals = -exponent + (1 if leading < 355 else 0)
    if leading >= 950:
        spread, decimals = Decimal(1).scaleb(exponent + 1), -exponent
    power = max(abs(number), spread).adjusted()
    if decimals >= 0 and -4 <= power < MAX_INTEGER_DIGITS:
        return f"{_rounded(number, decimals)} ± {_rounded(spread, decimals)}"
    decimals = max(decimals + power, 0)
    return f"({_rounded(number.scaleb(-power), decimals)} ± {_rounded(spread.scaleb(-power), decimals)})e{power:+03d}"


def _rounded(number: Decimal, decimals: int) -> str:
    """Return a number rounded half up to a number of decimals, without an exponent."""
    return f"{number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"
