"""The normal equations of one series, from its sums, and the functions that are made orthogonal by them."""

from typing import Any

from regression.kernels.compiled import loop
from regression.kernels.double_double import add, multiply
from regression.kernels.fixed_point import load_total
from regression.series.workspace import Model, Workspace

__all__ = ["Frame", "Pairs", "add_multiple", "load_moments", "set_basis", "set_equations", "set_powers", "unit_power"]

Frame = tuple[float, float, float, float, float, float]  # the numbers of ``curves.frame.Frame.loop_numbers``
Pairs = Any  # a row of double-double numbers
# A function counts as dependent on those before it if orthogonalization leaves a smaller share of its square.
DEPENDENT_SHARE = 1e-24


@loop
def unit_power(value: float) -> float:
    """Return the power of two that scales a positive number to [1/2, 1), by Rump's method, which reads no bits."""
    shrink, grow = (2.0**-54, 2.0**54) if value > 1 else (1.0, 1.0)
    wide = value * shrink * (2.0**52 + 1)
    return 0.5 / ((wide - (1 - 2.0**-53) * wide) * grow)


@loop
def add_multiple(a: Pairs, high: float, low: float, count: int, out: Pairs) -> None:
    """Add a multiple of the first ``count`` numbers of a row to those of another."""
    for k in range(count):
        p, e = multiply(a[k][0], a[k][1], high, low)
        out[k][0], out[k][1] = add(out[k][0], out[k][1], p, e)


@loop
def shift_and_unit(frame: Frame, model: Model) -> tuple[float, float, float]:
    """Return the shift of ``u = shift + stretch t``, t = x power, as a double-double number, and a unit.

    If the functions are x T_k, the unit is the power of two that scales ``stretch t`` to at most 1, else it is 0.
    """
    shift, rest = multiply(-frame[0] * frame[1], 0.0, frame[2], 0.0)
    return shift, rest, unit_power(1 + abs(shift)) if model.powers[0] > 0 else 0.0


@loop
def times_x(shift: float, rest: float, unit: float, moments: Pairs) -> None:
    """Replace sums of ``f T_k`` by those of ``(u - shift) unit f T_k``, except the last one."""
    before_high, before_low = moments[1][0], moments[1][1]
    for k in range(len(moments) - 1):
        high, low, after = moments[k][0], moments[k][1], moments[k + 1]
        p, e = multiply(-shift * unit, -rest * unit, high, low)
        neighbours, error = add(after[0], after[1], before_high, before_low)  # u T_k = (T_{k+1} + T_{|k-1|}) / 2
        moments[k][0], moments[k][1] = add(p, e, 0.5 * unit * neighbours, 0.5 * unit * error)
        before_high, before_low = high, low


@loop
def load_moments(totals: Any, frame: Frame, model: Model, moments: Pairs) -> None:
    """Write the sums of ``add_moments`` as pairs, w T_{d+k} in place of w T_d T_k; for functions x T_k, times x."""
    terms, value, (shift, rest, unit) = len(moments) // 3, 2 * (len(moments) // 3) - 1, shift_and_unit(frame, model)
    for k in range(len(moments)):
        moments[k][0], moments[k][1] = load_total(totals[k])
    for k in range(1, terms):
        upper, lower = moments[terms - 1 + k], moments[terms - 1 - k]  # of T_{d+k} and T_{d-k}
        upper[0], upper[1] = add(2 * upper[0], 2 * upper[1], -lower[0], -lower[1])
    if unit > 0:
        times_x(shift, rest, unit, moments[:value])
        times_x(shift, rest, unit, moments[: value - 1])
        times_x(shift, rest, unit, moments[value : value + terms])


@loop
def set_equations(model: Model, workspace: Workspace) -> None:
    """Write the normal equations, by ``T_i T_j = (T_{i+j} + T_{|i-j|}) / 2``."""
    size, moments, matrix = len(model.powers), workspace.moments, workspace.matrix
    value, last = 2 * (len(moments) // 3) - 1, len(moments) - 1
    for i in range(size + 1):
        right_side = moments[value + i if i < size else last]
        matrix[i][0][0], matrix[i][0][1] = right_side[0], right_side[1]
        for j in range(i, size):
            high, low = add(moments[i + j][0], moments[i + j][1], moments[j - i][0], moments[j - i][1])
            matrix[i][size - j][0], matrix[i][size - j][1] = high / 2, low / 2
    for k in range(size):
        workspace.thresholds[k], workspace.coefficients[k] = DEPENDENT_SHARE * matrix[k][size - k][0], 0.0


@loop
def set_powers(frame: Frame, model: Model, powers: Any) -> None:
    """Write the functions in powers of t, and 0 for the curve."""
    size, stretch, (shift, rest, unit) = len(model.powers), frame[2], shift_and_unit(frame, model)
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
    """Write the functions in T_k, and 0 for the curve."""
    shift, rest, unit = shift_and_unit(frame, model)
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
