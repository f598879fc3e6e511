"""The equation of a curve, as text and for LaTeX."""

import math
import re
from collections.abc import Sequence

from regression.common.value_and_error import value_and_error

__all__ = ["equation", "formula", "latex_equation", "power_of"]

MOST_TERMS = 5  # of a formula in a legend
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of(name: str) -> int | None:
    """Return the power of x of a coefficient's name, ``None`` if the text is not such a name."""
    if name in ("intercept", "slope"):
        return int(name == "slope")
    return int(name[1:]) if name[:1] == "c" and name[1:].isdecimal() else None


def formula(params: Sequence[float], names: Sequence[str]) -> str:
    """Return a short formula, such as ``1.2 + 3 x − 0.5 x²``, or the degree if the formula would be too long.

    Args:
        params: Coefficients in ascending powers of x.
        names: Their names, from which the powers follow.
    """
    if len(params) > MOST_TERMS:
        return f"degree {names[-1].removeprefix('c')}"
    return _signed([(c, f"{abs(c):.4g}", power) for c, power in zip(params, _powers(names), strict=True)])


def equation(params: Sequence[float], names: Sequence[str], errors: Sequence[float] | None = None) -> str:
    """Return the curve with all its terms, such as ``(2.3 ± 0.4) + (2.95 ± 0.16) x``.

    Args:
        params: Coefficients in ascending powers of x.
        names: Their names, from which the powers follow.
        errors: Their standard errors, which determine the digits; without them each number has eight.
    """
    if errors is None:
        return _signed([(c, f"{abs(c):.8g}", power) for c, power in zip(params, _powers(names), strict=True)])
    rows = zip(params, errors, _powers(names), strict=True)
    return " + ".join(f"{_in_brackets(value, error)}{power}" for value, error, power in rows)


def latex_equation(params: Sequence[float], names: Sequence[str], errors: Sequence[float] | None = None) -> str:
    r"""Return the same for LaTeX's mathematics, such as ``(2.3 \pm 0.4) + (2.95 \pm 0.16)\,x``."""
    text = equation(params, names, errors).translate({ord("−"): "-"})
    text = re.sub(r" x([⁰¹²³⁴⁵⁶⁷⁸⁹]*)", lambda m: rf"\,x{_exponent(m[1])}", text)
    text = re.sub(r"e([+-]\d+)", lambda m: rf" \times 10^{{{int(m[1])}}}", text)
    return text.replace("±", r"\pm")


def _powers(names: Sequence[str]) -> list[str]:
    powers = [power_of(name) or 0 for name in names]
    return [("", " x")[k] if k < 2 else f" x{str(k).translate(SUPERSCRIPTS)}" for k in powers]


def _exponent(superscript: str) -> str:
    digits = superscript.translate({ord(s): str(k) for k, s in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")})
    return f"^{{{digits}}}" if digits else ""


def _signed(terms: Sequence[tuple[float, str, str]]) -> str:
    """Join terms by their signs."""
    signed = [f"{'−' if value < 0 else '+'} {size}{power}" for value, size, power in terms]
    return " ".join([signed[0].removeprefix("+ ").replace("− ", "−"), *signed[1:]])


def _in_brackets(value: float, error: float) -> str:
    """Return a value with its error in brackets, or the value alone if the error is 0 or unknown."""
    if error == 0 or not math.isfinite(error):
        return f"{value:.8g}"
    text = value_and_error(value, error)
    return text if text.startswith("(") else f"({text})"
