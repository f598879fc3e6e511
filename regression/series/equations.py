"""The normal equations of one series, from its sums, and the functions that are made orthogonal by them."""

from typing import Any

from regression.kernels.compiled import loop
from regression.kernels.double_double import add, multiply
from regression.kernels.fixed_point import load_total
from regression.series.room import Model, Room

__all__ = ["Frame", "Pairs", "add_multiple", "load_moments", "set_basis", "set_equations", "set_powers", "unit_power"]

Frame = tuple[float, float, float, float, float, float]  # as ``curves/frame.py`` has its numbers
Pairs = Any  # a row of double-double numbers
LEAST = 1e-24  # a function with a smaller share of its square left by those before it depends on them


@loop
def unit_power(value: float) -> float:
    """Return the power of two that brings a positive number into [1/2, 1); by Rump's way, without its bits."""
    shrink, grow = (2.0**-54, 2.0**54) if value > 1 else (1.0, 1.0)
    wide = value * shrink * (2.0**52 + 1)
    return 0.5 / ((wide - (1 - 2.0**-53) * wide) * grow)


@loop
def add_multiple(a: Pairs, high: float, low: float, count: int, out: Pairs) -> None:
    """Add a multiple of the first numbers of a row to those of another."""
    for k in range(count):
        p, e = multiply(a[k][0], a[k][1], high, low)
        out[k][0], out[k][1] = add(out[k][0], out[k][1], p, e)


@loop
def coordinates(frame: Frame, model: Model) -> tuple[float, float, float]:
    """Return ``-center power stretch``, a double-double number, by which ``u = shift + stretch t`` for t = x power.

    Return also the power of two that x times stretch power is brought to at most 1 by, if the functions are x times
    T_k, else 0.
    """
    shift, rest = multiply(-frame[0] * frame[1], 0.0, frame[2], 0.0)
    return shift, rest, unit_power(1 + abs(shift)) if model.powers[0] > 0 else 0.0


@loop
def times_x(shift: float, rest: float, unit: float, moments: Pairs) -> None:
    """Replace sums of ``f T_k`` by those of ``(u - shift) unit f T_k``; the last one is left as it is."""
    before_high, before_low = moments[1][0], moments[1][1]
    for k in range(len(moments) - 1):
        high, low, after = moments[k][0], moments[k][1], moments[k + 1]
        p, e = multiply(-shift * unit, -rest * unit, high, low)
        both, both_rest = add(after[0], after[1], before_high, before_low)
        moments[k][0], moments[k][1] = add(p, e, 0.5 * unit * both, 0.5 * unit * both_rest)
        before_high, before_low = high, low


@loop
def load_moments(totals: Any, frame: Frame, model: Model, moments: Pairs) -> None:
    """Write the sums of ``add_moments``, of w T_{d+k} for w T_d T_k; of x² w and x w v for functions x T_k."""
    terms, value, (shift, rest, unit) = len(moments) // 3, 2 * (len(moments) // 3) - 1, coordinates(frame, model)
    for k in range(len(moments)):
        moments[k][0], moments[k][1] = load_total(totals[k])
    for k in range(1, terms):
        own, other = moments[terms - 1 + k], moments[terms - 1 - k]
        own[0], own[1] = add(2 * own[0], 2 * own[1], -other[0], -other[1])
    if unit > 0:
        times_x(shift, rest, unit, moments[:value])
        times_x(shift, rest, unit, moments[: value - 1])
        times_x(shift, rest, unit, moments[value : value + terms])


@loop
def set_equations(model: Model, room: Room) -> None:
    """Write the normal equations: products of functions T_i T_j are half of T_{i+j} and T_{i-j}."""
    size, moments, matrix = len(model.powers), room.moments, room.matrix
    value, last = 2 * (len(moments) // 3) - 1, len(moments) - 1
    for i in range(size + 1):
        of_value = moments[value + i if i < size else last]
        matrix[i][0][0], matrix[i][0][1] = of_value[0], of_value[1]
        for j in range(i, size):
            high, low = add(moments[i + j][0], moments[i + j][1], moments[j - i][0], moments[j - i][1])
            matrix[i][size - j][0], matrix[i][size - j][1] = high / 2, low / 2
    for k in range(size):
        room.least[k], room.parts[k] = LEAST * matrix[k][size - k][0], 0.0


@loop
def set_powers(frame: Frame, model: Model, powers: Any) -> None:
    """Write the functions in powers of t, and a curve of 0."""
    size, stretch, (shift, rest, unit) = len(model.powers), frame[2], coordinates(frame, model)
    for k in range(size + 1):
        for j in range(size):
            powers[k][j][0], powers[k][j][1] = 0.0, 0.0
    powers[0][0][0] = stretch * unit if unit > 0 else 1.0
    for k in range(1, size):
        factor = 1.0 if k == 1 else 2.0
        add_multiple(powers[k - 1], factor * stretch, 0.0, k, powers[k][1:])
        add_multiple(powers[k - 1], factor * shift, factor * rest, k, powers[k])
        if k > 1:
            add_multiple(powers[k - 2], -1.0, 0.0, k - 1, powers[k])


@loop
def set_basis(frame: Frame, model: Model, basis: Any) -> None:
    """Write the functions in T_k, and a curve of 0."""
    shift, rest, unit = coordinates(frame, model)
    for k in range(len(basis)):
        for j in range(len(basis[k])):
            basis[k][j][0], basis[k][j][1] = 0.0, 0.0
    for k in range(len(model.powers)):
        if unit > 0:
            basis[k][k][0], basis[k][k][1] = -shift * unit, -rest * unit
            basis[k][k + 1][0] += 0.5 * unit
            basis[k][abs(k - 1)][0] += 0.5 * unit
        else:
            basis[k][k][0] = 1.0
