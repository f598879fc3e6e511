"""How many updates plain gradient descent needs on the textbook's polynomial, by basis, domain and step size.

Prints for each way the number of full-batch updates from zero until the mean squared error is within 1 % of its
optimum. The ways that need few updates are really run. For the others, millions of steps away, the number follows from
the eigenvalues λ of the Hessian: after n steps of size η the excess loss is ``Σ λ_i (1 − η λ_i)^(2 n) e_i² / 2`` with
the errors e_i at the start along the eigenvectors. What bounds the number is the ratio of the extreme eigenvalues.
"""

import argparse
from collections.abc import Sequence

import torch

import measure
from regression.common.points import Points
from regression.curves.chart import Chart
from regression.curves.polynomial import Polynomial
from regression.descent.losses import GlobalLoss
from regression.descent.updates import Objective, descend
from regression.estimation.solver import solve
from regression.moments.scan import Range, Sums
from regression.solutions.convergence import safe_rate

X = torch.linspace(0, 1, 10)
Y = 3 * X + torch.sin(6 * X) + 1
WAYS = (
    ("powers of x, rate 0.05", "power", None, 0.05),
    ("powers of mapped x, rate 0.05", "power", (0.0, 1.0), 0.05),
    ("Chebyshev, rate 0.05", "chebyshev", (0.0, 1.0), 0.05),
    ("Chebyshev, own rate (the default)", "chebyshev", (0.0, 1.0), None),
)
RUN_UP_TO = 10_000


def predicted(model: Polynomial, rate: float) -> int:
    """Return the number of updates to within 1 % of the optimum, from the eigenvalues of the Hessian."""
    design, y = model.design(X.double()), Y.double()
    hessian = 2 * design.T @ design / len(y)
    eigenvalues, vectors = torch.linalg.eigh(hessian)
    optimum = torch.linalg.lstsq(design, y[:, None], driver="gelsd").solution[:, 0]
    lowest = float((design @ optimum - y).square().mean())
    errors = vectors.T @ optimum

    def excess(n: int) -> float:
        return float((eigenvalues * (1 - rate * eigenvalues).abs() ** (2 * n) * errors**2).sum()) / 2

    low, high = 0, 1
    while excess(high) > 0.01 * lowest:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle) > 0.01 * lowest else (low, middle)
    return high


def counted(model: Polynomial, rate: float, updates: int) -> int | None:
    """Return the number of updates to within 1 % of the optimum, by making them; ``None`` if there were too few."""
    objective = Objective(model.design(X.double()), Y.double(), len(Y), GlobalLoss("MSELoss"))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses, _ = descend(objective, model.coefficients, optimizer, updates)
    optimum = torch.linalg.lstsq(objective.design, objective.target[:, None]).solution[:, 0]
    near = losses <= 1.01 * objective.losses(optimum[None])[0]
    return int(near.int().argmax()) if near.any() else None


def own_rate(model: Polynomial) -> float:
    """Return the step size that the project takes where none is given."""
    found, points = Range(), Points(X, Y)
    found.add(points)
    sums = Sums(found.frame(), model.degree)
    sums.add(points)
    return safe_rate(Chart(sums.frame, model), solve(sums.moments(), model.degree))


def main(args: Sequence[str] | None = None) -> dict[str, float]:
    """Print the table; return the updates of each way, and how many times fewer the last one needs than the first."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(args)
    result: dict[str, float] = {}
    for name, basis, domain, rate in WAYS:
        model = Polynomial(4, basis, domain).double()  # type: ignore[arg-type]
        step = own_rate(model) if rate is None else rate
        expected = predicted(model, step)
        if expected <= RUN_UP_TO:
            real = counted(model, step, expected + 10)
            if real != expected:
                raise SystemExit(f"{name}: {real} updates made, {expected} predicted")
        result[name] = expected
    first = result[WAYS[0][0]]
    measure.print_table(
        ["way", "updates", "ratio to the first"],
        [[name, updates, f"1 / {first / updates:,.0f}"] for name, updates in result.items()],
    )
    return result | {"gain": first / expected}


if __name__ == "__main__":
    main()
