"""The least-squares optimum of a run's points, and the fit that is measured against it. Torch and scipy only."""

from decimal import Decimal
from typing import Any

import torch
from torch import Tensor

from regression.coordinates import Chart
from regression.degrees import Candidate, Criterion, choose_degree, fold_moments
from regression.fit import Fit
from regression.models import Polynomial
from regression.moments import Frame, Moments
from regression.solver import Solution, solve
from regression.steps import OptimumDistance, safe_rate

__all__ = ["LeastSquares"]


class LeastSquares:
    """Takes points in, batch by batch, and knows their least-squares optimum once they are all there.

    Args:
        model: The curve; its domain is settled before the optimum is asked for.
        criterion: What the degree is chosen by, up to that of the model; ``None`` keeps the model's.
        folds: Number of folds for the criterion ``cv``.

    Attributes:
        omitted: Number of rows that were left out.
    """

    def __init__(self, model: Polynomial, criterion: Criterion | None = None, folds: int = 5) -> None:
        self.model, self.criterion, self.folds = model, criterion, folds
        self.omitted = 0
        self._moments: Moments | None = None
        self._fold_moments: list[Moments] = []
        self._solution: Solution | None = None
        self._degree_table: tuple[Candidate, ...] = ()
        self._distance: OptimumDistance | None = None
        self._params_matrix: Tensor | None = None

    @property
    def moments(self) -> Moments:
        """The moments of the points so far."""
        assert self._moments is not None
        return self._moments

    @property
    def solution(self) -> Solution:
        """The optimum."""
        assert self._solution is not None
        return self._solution

    @property
    def is_solved(self) -> bool:
        """Whether the optimum is known."""
        return self._solution is not None

    @property
    def degree(self) -> int:
        """The degree of the optimum."""
        return len(self.solution.coefficients) - 1

    @property
    def _chart(self) -> Chart:
        return Chart(self.moments.frame, self.model)

    def begin(self, frame: Frame, omitted: int) -> None:
        """Begin without points.

        Args:
            frame: Coordinates of the moments.
            omitted: Number of rows that were left out.
        """
        empty = Moments.empty(frame, self.model.degree)
        self.omitted, self._moments = omitted, empty
        self._fold_moments = [empty] * self.folds if self.criterion == "cv" else []

    def add(self, points: Any) -> None:
        """Take in points that have tensors ``x``, ``y`` and ``sigma`` (or ``None``), each of shape (n,)."""
        columns, frame, degree = (points.x, points.y, points.sigma), self.moments.frame, self.moments.degree
        self._moments = self.moments.merge(Moments.of(*columns, frame, degree))
        if self._fold_moments:
            parts = fold_moments(*columns, frame, degree, self.folds)
            self._fold_moments = [fold.merge(part) for fold, part in zip(self._fold_moments, parts, strict=True)]

    def solve(self, device: torch.device) -> None:
        """Find the optimum of the points of all processes; all of them must call it.

        Args:
            device: Where the processes exchange tensors.
        """
        self._moments = self.moments.reduced(device)
        self._solution = solve(self._moments, self.model.degree, self.model.fit_intercept)
        if self.criterion is not None:
            folds = [fold.reduced(device) for fold in self._fold_moments]
            degree, self._degree_table = choose_degree(self._moments, self._solution, self.criterion, folds)
            self._solution = solve(self._moments, degree)

    def coefficients(self) -> Tensor:
        """Return the model's own coefficients at the optimum, shape (K,), float64; those above its degree are 0."""
        unused = [Decimal(0)] * (self.model.degree - self.degree)
        return torch.tensor(self._chart.from_curve(self.solution.coefficients + unused), dtype=torch.float64)

    def prepare(self, absolute_sigma: bool, device: torch.device) -> None:
        """Get ready for ``params`` and ``distance``, which are asked for at every update.

        Args:
            absolute_sigma: Whether the points' sigma are in y's unit.
            device: Where the coefficients are.
        """
        chart = self._chart
        self._distance = OptimumDistance.of(chart, self.solution, absolute_sigma, device)
        self._params_matrix = None if chart.is_identity else chart.params_matrix().to(device)

    def params(self, coefficients: Tensor) -> Tensor:
        """Return the coefficients of powers of x, shape (U, K), of the model's own, shape (U, K)."""
        return coefficients if self._params_matrix is None else coefficients.double() @ self._params_matrix

    def distance(self, coefficients: Tensor) -> float | None:
        """Return how far the model's coefficients, shape (K,), are from the optimum in standard errors.

        ``None`` where the standard errors are unknown or 0.
        """
        return None if self._distance is None else float(self._distance.at(coefficients))

    def safe_rate(self, mini_batches: bool) -> float:
        """Return a step size for plain gradient descent, see ``steps.safe_rate``."""
        return safe_rate(self._chart, self.moments, mini_batches)

    def fit(self, coefficients: Tensor | None, **facts: Any) -> Fit:
        """Return the record of a fit.

        Args:
            coefficients: The model's own coefficients, shape (K,), or ``None`` for the optimum.
            facts: What does not follow from the points and the model.
        """
        at = None if coefficients is None else self._chart.curve(coefficients)
        return Fit.of(
            self.moments,
            self.solution,
            self.model.names[: self.solution.columns],
            at,
            basis=self.model.basis,
            domain=self.model.domain,
            omitted=self.omitted,
            degree_table=self._degree_table,
            **facts,
        )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs of the points, as plain numbers and strings; nothing before they are there."""
        return {} if self._moments is None else {"moments": self._moments.state(), "omitted": self.omitted}

    def restore(self, state: dict[str, Any], degree: int | None) -> None:
        """Take up a state, and find the optimum of its points.

        Args:
            state: What ``state`` returned.
            degree: The degree of the optimum, or ``None`` for the model's.
        """
        self.omitted, self._moments = state["omitted"], Moments.from_state(state["moments"])
        degree = self.model.degree if degree is None else degree
        self._solution = solve(self._moments, degree, self.model.fit_intercept)
