"""The least-squares optimum of points, and the fits that are compared with it."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from typing import Any

import torch
from torch import Tensor

from regression.common.points import Points
from regression.common.rules import or_null, require_stored, whole
from regression.curves.chart import Chart, as_tensor
from regression.curves.decimals import precise, root
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial
from regression.estimation.cross_validation import squares_left_out
from regression.estimation.degree_choice import Candidate, Choice, Comparison, choose_degree
from regression.estimation.leave_one_out import squares_left_one_out
from regression.estimation.refinement import refine, second_pass
from regression.estimation.robust import TotalOf, find_optimum
from regression.estimation.solver import solve
from regression.fits.build import FitOptions, build_fit
from regression.fits.estimator import Estimator, FurtherEstimates
from regression.fits.fit import Fit
from regression.moments.moments import Moments
from regression.moments.passes import Passes
from regression.moments.scan import ResidualSums, Sums
from regression.solutions.convergence import OptimumDistance, safe_rate
from regression.solutions.optimum import Optimum
from regression.solutions.solution import Solution

__all__ = ["LeastSquares"]


class LeastSquares:
    """Adds up points, part by part, and computes their least-squares optimum after the last.

    Args:
        model: The curve; its domain must not change after ``solve``.
        comparison: How the degree is chosen, up to that of the model; ``None`` keeps the model's.
        estimator: What is estimated by further passes.

    Attributes:
        omitted: Number of rows that were left out.
    """

    def __init__(
        self,
        model: Polynomial,
        comparison: Comparison | None = None,
        estimator: Estimator = Estimator(),  # noqa: B008  # immutable
    ) -> None:
        self.model, self.comparison, self.estimator = model, comparison, estimator
        self.omitted, self._has_sigma_x = 0, False
        self._sums: Sums | None
        self._moments: Moments | None
        self._second_sums: list[int] | None
        self._solution: Solution | None
        self._choice: Choice | None
        self._optimum: Optimum | None  # of a loss that does not follow from the squares
        self._further: FurtherEstimates
        self._distance: OptimumDistance | None
        self._params: tuple[Tensor, Tensor] | None
        self.forget()

    @property
    def moments(self) -> Moments:
        """The moments of the points."""
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
        return self.solution.degree

    @property
    def _chart(self) -> Chart:
        return Chart(self.moments.frame, self.model)

    def forget(self) -> None:
        """Reset to the state without points."""
        self._sums = self._moments = self._second_sums = self._solution = self._choice = None
        self._optimum = self._distance = self._params = None
        self._further = FurtherEstimates()

    def begin(self, frame: Frame, omitted: int, has_sigma_x: bool = False) -> None:
        """Reset, and set the coordinates of the sums.

        Args:
            frame: Coordinates of the moments.
            omitted: Number of rows that were left out.
            has_sigma_x: Whether x has errors too.
        """
        self.forget()
        self.omitted, self._has_sigma_x, self._sums = omitted, has_sigma_x, Sums(frame, self.model.degree)

    def add(self, points: Points) -> None:
        """Add points; several threads may call it at once."""
        assert self._sums is not None
        self._sums.add(points)

    def solve(self, passes: Passes) -> None:
        """Find the optimum of the points of all processes, and the further estimates; all processes must call it.

        Args:
            passes: Further passes over the points: a second one if the sums determine fewer digits of the optimum than
                float64 shows, and those of cross-validation and of the estimator.
        """
        assert self._sums is not None
        device, scan = passes.device, passes.scan
        self._moments = self._sums.moments().reduced(device)
        solution = self._solve(self._moments)
        self._second_sums = None
        if not solution.is_certain:
            request = second_pass(solution)
            sums = ResidualSums(request)
            scan(sums.add)
            self._second_sums = sums.reduced(device)
            solution = refine(solution, request, self._second_sums)
        self._solution = solution
        if self.comparison is not None:
            leave_out = {
                "cv": partial(squares_left_out, self._moments, self.comparison.folds, device, scan),
                "loo": partial(squares_left_one_out, solution, scan),
            }
            self._choice = choose_degree(solution, self.comparison, leave_out.get(self.comparison.criterion))
            self._solution = solution.of_degree(self._choice.degree)
        self._sums = None  # frees their memory
        self._further = self.estimator.find(self.solution, self._has_sigma_x, passes)

    def _solve(self, moments: Moments) -> Solution:
        return solve(moments, self.model.degree, self.model.fit_intercept, self.model.constraints)

    def y_is_tiny(self, tiny: float) -> bool:
        """Tell whether the mean of ``w y²`` is above 0 and below ``tiny``."""
        return 0 < self.solution.square / self.moments.nobs < tiny

    def coefficients(self) -> Tensor:
        """Return the model's own coefficients at the optimum, shape (K,), float64; those above its degree are 0."""
        unused = [Decimal(0)] * (self.model.degree - self.degree)
        found = self._further.coefficients or self.solution.coefficients
        return torch.tensor(self._chart.from_curve(found + unused), dtype=torch.float64)

    def find_optimum(self, loss: str, threshold: float | None, absolute_sigma: bool, total: TotalOf) -> None:
        """Find the optimum of a loss that does not follow from the squares; see ``robust.find_optimum``."""
        self._optimum = find_optimum(self.solution, loss, threshold, absolute_sigma, total)

    def prepare(self, absolute_sigma: bool, device: torch.device) -> None:
        """Prepare ``params`` and ``distance``, which are called at every update.

        Args:
            absolute_sigma: Whether the points' sigma are in y's unit.
            device: Where the coefficients are.
        """
        chart = self._chart
        optimum = self._optimum or Optimum.of_squares(self.solution, absolute_sigma)
        self._distance = OptimumDistance.of(chart, self.solution, optimum, device)
        if not chart.is_identity:
            matrix = as_tensor([self.solution.error_in_terms(function) for function in chart.in_u])
            self._params = matrix.to(device), as_tensor([self.solution.params_of(chart.base)])[0].to(device)

    def params(self, coefficients: Tensor) -> Tensor:
        """Return the coefficients of powers of x, shape (U, J), from the model's own, shape (U, K)."""
        if self._params is None:
            return coefficients
        matrix, base = self._params
        return base + coefficients.double() @ matrix

    def distance(self, coefficients: Tensor) -> float | None:
        """Return how far the model's coefficients, shape (K,), are from the optimum in standard errors.

        ``None`` where the standard errors are unknown or 0.
        """
        return None if self._distance is None else float(self._distance.at(coefficients))

    @property
    def residual(self) -> float:
        """The root mean square of the residuals of the optimum, in units of sigma."""
        solution = self.solution
        with precise():
            return 0.0 if solution.is_perfect else float(root(solution.ssr / solution.nobs))

    def safe_rate(self, mini_batches: bool) -> float:
        """Return a step size for plain gradient descent, see ``convergence.safe_rate``."""
        return safe_rate(self._chart, self.solution, mini_batches)

    def fit(self, coefficients: Tensor | None, options: FitOptions) -> Fit:
        """Return the fit.

        Args:
            coefficients: The model's own coefficients, shape (K,), or ``None`` for the optimum.
            options: The facts about the fit that do not follow from the points and the curve.
        """
        at = None if coefficients is None else self._chart.curve(coefficients)
        robust, optimum = self._further.m_estimate, self._optimum
        if robust is not None:
            at, optimum = self._further.coefficients, robust.optimum
        fit = build_fit(
            self.moments, self.solution, self.model, options,
            omitted=self.omitted, choice=self._choice, at=at, optimum=optimum, robust=robust,
        )  # fmt: skip
        return self._further.apply_to(fit, self.solution)

    def state(self) -> dict[str, Any]:
        """Return the sums and the optimum as plain numbers and strings, for a checkpoint."""
        return {
            "moments": self.moments.state(),
            "omitted": self.omitted,
            "second_pass": None if self._second_sums is None else list(map(hex, self._second_sums)),
            "degree": self.degree,
            "choice": None if self._choice is None else asdict(self._choice),
            "optimum": None if self._optimum is None else self._optimum.state(),
            "further": self._further.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load a state that ``state`` returned; one of release 0.1 has no choice, and may have no degree."""
        require_stored({"degree": None, **state}, {"omitted": whole(), "degree": or_null(whole(0, self.model.degree))})
        self.omitted, self._moments = state["omitted"], Moments.from_state(state["moments"])
        solution = self._solve(self._moments)
        if state.get("second_pass") is not None:
            self._second_sums = [int(total, 16) for total in state["second_pass"]]
            solution = refine(solution, second_pass(solution), self._second_sums)
        self._solution = solution if state.get("degree") is None else solution.of_degree(state["degree"])
        if choice := state.get("choice"):
            self._choice = Choice(**{**choice, "table": tuple(Candidate(**row) for row in choice["table"])})
        self._optimum = None if state["optimum"] is None else Optimum.from_state(state["optimum"])
        self._further = FurtherEstimates.from_state(state.get("further"), self.solution.rank)
