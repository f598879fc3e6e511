"""LineRegression and PolynomialRegression, the two models that users name."""

from typing import Any, Literal, final

from regression.common.errors import UsageError
from regression.curves.basis import Basis
from regression.curves.constraints import degree_within
from regression.curves.polynomial import Line, Polynomial
from regression.estimation.degree_choice import Comparison, Criterion
from regression.fits.least_squares import LeastSquares
from regression.training.regression import Regression

__all__ = ["LineRegression", "PolynomialRegression"]

DEGREE = 4  # of a polynomial, unless a degree or terms are given


@final
class LineRegression(Regression):
    """A line ``f(x) = intercept + slope x`` fitted to points.

    Args:
        fit_intercept: Whether there is an intercept; without it the line goes through the origin.
    """

    def __init__(self, fit_intercept: bool = True, **options: Any) -> None:
        if degree_within(1, 1, fit_intercept, **_constraint_options(options)) != 1:
            raise UsageError(f"terms of a line are [0, 1] or [1], got {options['terms']}: use PolynomialRegression")
        super().__init__(Line(fit_intercept=fit_intercept), **options)
        self.save_hyperparameters()


@final
class PolynomialRegression(Regression):
    """A polynomial ``f(x) = c0 + c1 x + … + cd x^d`` fitted to points.

    Args:
        degree: Highest power d; the polynomial has d + 1 coefficients. ``auto`` lets the exact solver choose it.
        basis: Functions whose coefficients gradient descent moves: powers, Chebyshev or Legendre polynomials of the
            mapped x. The orthogonal ones converge thousands of times faster. The report is in powers of x anyway.
        max_degree: Highest degree that ``auto`` considers.
        criterion: Criterion of ``auto``: ``aicc``, Akaike's for small samples; ``gcv``, generalised cross-validation;
            ``cv``, k-fold cross-validation; ``loo``, with one point left out at a time. Errors and bands do not include
            the uncertainty of the choice.
        folds: Number of folds k for ``cv``.
    """

    def __init__(
        self,
        degree: int | Literal["auto"] = DEGREE,
        basis: Basis = "chebyshev",
        max_degree: int = 10,
        criterion: Criterion = "aicc",
        folds: int = 5,
        **options: Any,
    ) -> None:
        highest = degree_within(degree, DEGREE, **_constraint_options(options))
        super().__init__(Polynomial(max_degree if highest == "auto" else highest, basis), **options)
        if degree == "auto" and self.solver != "exact":
            raise UsageError("degree auto needs --model.solver exact, got solver gradient")
        comparison = Comparison(criterion, folds, self.absolute_sigma)
        self.save_hyperparameters()
        estimator = self.least_squares.estimator
        estimator.require_compatible(degree == "auto", self.absolute_sigma)
        self.record.least_squares = LeastSquares(self.model, comparison if degree == "auto" else None, estimator)


def _constraint_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that constrain the curve."""
    return {name: options.get(name) for name in ("terms", "fix", "through")}
