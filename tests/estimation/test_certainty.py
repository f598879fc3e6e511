"""A fit is right to the last digit that float64 shows, or a note says which digits are not."""

import math
import warnings
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from numpy.typing import NDArray

import regression

Array = NDArray[np.float64]
EXACT = Context(prec=400, Emax=10**9, Emin=-(10**9))  # far more digits than any problem here needs
LAST_DIGIT = Decimal(2) ** -52  # relative: one unit in the last place of a float64 number
PROBLEMS, MORE_PROBLEMS = 150, 10_000


def drawn(seed: int) -> tuple[Array, Array, Array | None, int]:
    """Return x, y, sigma and degree of a random problem, whose x may be far from 0 or uneven, and sigma unequal."""
    random = np.random.default_rng(seed)
    degree = int(random.integers(0, 13))
    rows = int(random.integers(degree + 1, random.choice([degree + 3, 40, 201])))
    t = [
        random.uniform(-1, 1, rows), np.linspace(-1, 1, rows), random.normal(size=rows),
        2.0 ** -random.uniform(0, 8, rows), random.integers(-20, 20, rows).astype(float),
    ][random.integers(5)]  # fmt: skip
    x = t * 10 ** random.uniform(-3, 3)
    x += random.choice([0.0, 1.0]) * 10 ** random.uniform(0, 6) * float(np.ptp(x) or 1)
    sigma = None if random.random() < 0.4 else 10 ** random.uniform(0, random.uniform(0, 6), rows)
    noise = random.normal(size=rows) * (1.0 if sigma is None else sigma)
    y = np.polynomial.chebyshev.chebval(t / max(abs(t).max(), 1e-9), random.normal(size=degree + 1)) * random.choice(
        [0, 3]
    )
    y += noise * 10 ** random.uniform(-9, 1)
    y += random.choice([0.0, 1.0]) * 10 ** random.uniform(0, 9) * float(np.std(y) or 1)
    return x, y, sigma, degree


def eliminated(rows: list[list[Decimal]]) -> list[list[Decimal]] | None:
    """Return the solutions of linear equations for each right side, or ``None`` if the matrix is singular."""
    size = len(rows)
    for k in range(size):
        pivot = max(range(k, size), key=lambda i: abs(rows[i][k]))
        if abs(rows[pivot][k]) < Decimal("1e-250") * max(map(abs, rows[pivot])):
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i in range(size):
            if i != k and rows[i][k]:
                rows[i] = [value - rows[i][k] * part for value, part in zip(rows[i], rows[k], strict=True)]
    return [row[size:] for row in rows]


def right_numbers(x: Array, y: Array, sigma: Array | None, degree: int) -> dict[str, list[Decimal]] | None:
    """Return the weighted least-squares fit in 400 digits, or ``None`` where the points do not determine it."""
    points = list(zip(map(Decimal, x.tolist()), map(Decimal, y.tolist()), strict=True))
    weights = [Decimal(1)] * len(x) if sigma is None else [1 / Decimal(s) ** 2 for s in sigma.tolist()]
    powers = [[Decimal(1)] for _ in points]
    for (a, _), own in zip(points, powers, strict=True):
        for _ in range(2 * degree):
            own.append(own[-1] * a)
    size = range(degree + 1)
    sums = [sum(w * own[k] for w, own in zip(weights, powers, strict=True)) for k in range(2 * degree + 1)]
    known = [sum(w * own[k] * b for w, own, (_, b) in zip(weights, powers, points, strict=True)) for k in size]
    solved = eliminated([[*(sums[i + j] for j in size), known[i], *(Decimal(int(i == j)) for j in size)] for i in size])
    if solved is None:
        return None
    params = [row[0] for row in solved]
    residuals = [
        b - sum(c * p for c, p in zip(params, own, strict=False)) for own, (_, b) in zip(powers, points, strict=True)
    ]
    found = {"params": params}
    left = len(x) - degree - 1
    if left:
        ssr = sum(w * r * r for w, r in zip(weights, residuals, strict=True))
        found |= {"ssr": [ssr], "sigma": [(ssr / left).sqrt()]}
        found["bse"] = [(abs(solved[k][1 + k]) * ssr / left).sqrt() for k in size]
    return found


def judge(seed: int) -> str | None:
    """Return what is wrong with the fit of a problem, ``None`` if it is right or has a note."""
    x, y, sigma, degree = drawn(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", regression.UndeterminedWarning)
        fit = regression.fit(x, y, degree, sigma=sigma)
    if any("digits are certain" in note or note.startswith("undetermined") for note in fit.notes):
        return None
    with localcontext(EXACT):
        right = right_numbers(x, y, sigma, degree)
        if right is None:
            return f"{seed}: singular, and not said"
        for name, values in right.items():
            found = getattr(fit, name)
            for got, value in zip(np.atleast_1d(found).tolist(), values, strict=True):
                if not math.isfinite(got) or abs(Decimal(got) - value) > LAST_DIGIT * abs(value):
                    return f"{seed}: {name} {got!r}, right {float(value)!r}, notes {fit.notes}"
    return None


def test_each_digit_is_right_or_a_note_says_so() -> None:
    """Random problems agree with arithmetic of 400 digits in params, errors and residuals, or have a note."""
    assert [wrong for wrong in map(judge, range(PROBLEMS)) if wrong] == []


@pytest.mark.slow
def test_each_digit_of_many_more_problems_is_right() -> None:
    """Ten thousand more random problems are right too, or have a note."""
    assert [wrong for wrong in map(judge, range(PROBLEMS, PROBLEMS + MORE_PROBLEMS)) if wrong] == []
