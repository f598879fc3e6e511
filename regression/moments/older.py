"""Converts moments in checkpoints of release 0.1, which had two arithmetics, to the present arithmetic."""

from typing import Any

from regression.curves.frame import Frame
from regression.kernels.fixed_point import UNIT_BITS

__all__ = ["older_moments"]

OLDER_UNIT_BITS = 1074  # sums were whole numbers in units of 2^-1074
OLDER_STRETCH = 1024  # the stretch was counted in steps of 1 / 1024
OLDER_BITS = {"double-double": 97, "double": 48}  # correct bits of a term


def older_moments(frame: dict[str, Any], degree: int, nobs: int, sums: tuple[int, ...]) -> dict[str, Any]:
    """Return the fields of ``Moments`` from those of release 0.1.

    Release 0.1 did not center y, and scaled it only in its arithmetic ``double``. In that arithmetic the scale of u was
    any float64 number instead of a power of two with a stretch in steps.

    Args:
        frame: Fields of the coordinates.
        degree: Highest degree d.
        nobs: Number of points.
        sums: The sums in units of 2^-1074: S_0 … S_2d, B_0 … B_d, ``Σ w y²``, ``Σ log w``.
    """
    arithmetic = frame["arithmetic"]
    exponent, stretch = frame["exponent"], frame["stretch"] / OLDER_STRETCH
    if arithmetic == "double":
        stretch = 2.0**exponent / frame["half_width"]
    # y in units of its root mean square, so that small y keep their digits.
    y_shift = (sums[-2].bit_length() - sums[0].bit_length()) // 2
    first_y, last_y = 2 * degree + 1, 3 * degree + 1
    shifts = [y_shift * (first_y <= k) + y_shift * (k == last_y + 1) for k in range(len(sums))]
    shifts[-1] = 0
    drop = OLDER_UNIT_BITS - UNIT_BITS
    return {
        "frame": Frame(
            center=frame["center"], exponent=exponent, stretch=stretch, y_center=0.0,
            y_exponent=frame["y_exponent"] + y_shift, sigma_exponent=frame["sigma_exponent"],
            low=frame["low"], high=frame["high"],
        ),
        "degree": degree,
        "nobs": nobs,
        "sums": tuple(
            total >> drop + shift if drop + shift >= 0 else total << -(drop + shift)
            for total, shift in zip(sums, shifts, strict=True)
        ),
        "term_bits": OLDER_BITS[arithmetic],
    }  # fmt: skip
