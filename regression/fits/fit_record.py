"""The fit that belongs to a module's weights, and is stored beside them in the ``state_dict``."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from regression.common.errors import UsageError
from regression.common.rules import NUMBER, TEXT, list_of, or_null, require_stored, whole
from regression.common.time_scale import TimeScale
from regression.curves.chart import Chart
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial
from regression.fits.build import FitOptions
from regression.fits.estimator import Estimator
from regression.fits.fit import Fit
from regression.fits.least_squares import LeastSquares
from regression.solutions.optimum import Optimum

__all__ = ["FitRecord", "Origin", "load_with_fit", "state_of"]

MOST_GROWTH = 1000  # largest factor by which a new domain may enlarge the coefficients
ORIGIN = {
    **dict.fromkeys(("solver", "loss_name"), TEXT),
    **dict.fromkeys(("loss", "val_loss"), or_null(NUMBER)),
    "optimizer": or_null(TEXT),
    "updates": whole(),
    "notes": list_of(TEXT),
}
ROUNDING = 1e-6  # relative error of the optimum of sums that release 0.1 took in its arithmetic ``double``


@dataclass(frozen=True)
class Origin:
    """How weights were found.

    Attributes:
        solver: Name of the solver.
        loss_name: Name of the loss.
        optimizer: Class of the optimizer, if there was one.
        updates: Number of updates made.
        loss: Loss of all training points at these weights, unless it follows from the sum of squares.
        val_loss: Loss of the held-out points at these weights.
        notes: Notes for the reader of the report.
        axes: Names of x and y.
        source: Where the points came from, in words.
        x_time: What the numbers of x mean where x holds times.
        y_time: The same of y.
    """

    solver: str
    loss_name: str
    optimizer: str | None = None
    updates: int = 1
    loss: float | None = None
    val_loss: float | None = None
    notes: tuple[str, ...] = ()
    axes: tuple[str, str] = ("x", "y")
    source: str | None = None
    x_time: TimeScale | None = None
    y_time: TimeScale | None = None


class FitRecord:
    """Makes the fit of a module's present weights from the sums over its training points.

    The sums are few numbers, and the ``state_dict`` contains them beside the weights. So a module that loads a
    ``state_dict``, from a checkpoint or from another process, has the fit of these weights with all digits.

    Args:
        model: The curve, whose coefficients are the weights.
        name: Class of the module.
        absolute_sigma: Whether the points' sigma are in y's unit.
        level: Probability of the bands.
        estimator: What is estimated beside least squares.

    Attributes:
        least_squares: The sums and the optimum of the points.
        origin: How the weights were found; ``None`` before a fit.
    """

    def __init__(self, model: Polynomial, name: str, absolute_sigma: bool, level: float, estimator: Estimator) -> None:
        self.model, self.name, self.absolute_sigma, self.level = model, name, absolute_sigma, level
        self.least_squares = LeastSquares(model, estimator=estimator)
        self.origin: Origin | None = None
        self._origin_fields: dict[str, Any] = {}
        self._origin_weights: Tensor | None = None  # weights to which the losses and notes of the origin belong
        self._fit: Fit | None = None
        self._fitted: tuple[Tensor, Any] | None = None  # weights and domain to which this fit belongs

    def set_domain(self, domain: tuple[float, float] | None, frame: Frame) -> None:
        """Map another interval of x to [−1, 1], ``None`` for raw x, and convert the coefficients: the curve is kept.

        If the coefficients would grow too much, because the new interval is far from the old one, set them to 0.
        """
        model, before = self.model, self.model.domain
        model.domain = None
        if domain is not None:
            model.set_domain(*domain)
        if before is None or model.domain == before:
            return
        after, model.domain = model.domain, before
        curve = Chart(frame, model).curve(model.coefficients.detach())
        model.domain = after
        moved = torch.tensor(Chart(frame, model).from_curve(curve), dtype=torch.float64)
        is_near = bool(moved.abs().max() <= MOST_GROWTH * model.coefficients.detach().abs().max())
        with torch.no_grad():
            model.coefficients.copy_(moved if is_near else torch.zeros_like(moved))

    def begin(
        self, frame: Frame, omitted: int, has_sigma_x: bool, is_resumed: bool, origin_fields: dict[str, Any]
    ) -> None:
        """Reset the sums for a new fit; reset the origin too, unless an interrupted fit is resumed.

        A run that is resumed after its last update writes checkpoints of the loaded weights, which keep their origin.

        Args:
            frame: Coordinates of the sums.
            omitted: Number of rows that were left out.
            has_sigma_x: Whether x has errors too.
            is_resumed: Whether the weights and the origin are those of an interrupted fit of the same points.
            origin_fields: Fields of the origin for the columns: ``axes``, ``source``, ``x_time`` and ``y_time``.
        """
        self.least_squares.begin(frame, omitted, has_sigma_x)
        self._origin_fields = origin_fields
        self.origin = replace(self.origin, **origin_fields) if self.origin is not None and is_resumed else None
        self._fit = self._fitted = None

    def set_origin(self, origin: Origin) -> None:
        """Set how the weights are found, while updates still change them."""
        self.origin, self._origin_weights, self._fitted = replace(origin, **self._origin_fields), None, None

    def pin(self) -> None:
        """Record that the losses and notes of the origin are those of the present weights."""
        self._origin_weights, self._fitted = self._weights(), None

    def set_fit(self, fit: Fit) -> None:
        """Set the fit of the present weights."""
        self._fit, self._fitted = fit, (self._weights(), self.model.domain)

    def fit(self) -> Fit | None:
        """Return the fit of the present weights, or ``None`` where nothing was fitted."""
        weights = self._weights()
        if self._fitted is not None and self._fitted[1] == self.model.domain and _same(self._fitted[0], weights):
            return self._fit
        if self.origin is None or not self.least_squares.is_solved:
            return None
        origin = self.origin
        if self._origin_weights is None or not _same(self._origin_weights, weights):
            origin = replace(origin, loss=None, val_loss=None, notes=())  # these belong to other weights
        if origin.solver == "exact":
            self._require_optimum(weights)
        given = {name: value for name, value in vars(origin).items() if name != "notes"}
        options = FitOptions(self.name, absolute_sigma=self.absolute_sigma, level=self.level, **given)
        fit = self.least_squares.fit(None if origin.solver == "exact" else weights, options)
        self.set_fit(replace(fit, notes=(*origin.notes, *fit.notes)))
        return self._fit

    def _weights(self) -> Tensor:
        return self.model.coefficients.detach().to("cpu", copy=True)

    def _require_optimum(self, weights: Tensor) -> None:
        optimum = self.least_squares.coefficients().to(weights.dtype)
        tolerance = ROUNDING * float(optimum.abs().max())
        if not torch.allclose(weights, optimum, rtol=ROUNDING, atol=tolerance):
            raise UsageError(
                "the weights are not those of the exact fit that they came with: load both from one checkpoint, or fit "
                "again"
            )

    def state(self) -> dict[str, Any]:
        """Return the state of the fit for a ``state_dict``, as plain numbers and strings; empty before a fit."""
        if self.origin is None or not self.least_squares.is_solved:
            return {}
        origin = asdict(self.origin)
        known = {name: value if _is_finite(value) else None for name, value in origin.items()}
        return {**self.least_squares.state(), "curve": self._curve(), "origin": known}

    def _curve(self) -> dict[str, Any]:
        """Return the options that a module must share with stored weights to load them."""
        model = self.model
        own = {"degree": model.degree, "basis": model.basis, "fit_intercept": model.fit_intercept}
        kept = model.constraints
        if kept is None:
            return own | dict.fromkeys(("terms", "fix", "through"))
        fix, through = dict(kept.fixed), list(map(list, kept.through))
        return own | {"terms": list(kept.powers), "fix": {f"c{k}": v for k, v in fix.items()}, "through": through}

    def load(self, state: Mapping[str, Any]) -> None:
        """Load what ``state`` or ``state_of`` returned; refuse the state of another curve."""
        self.origin = self._fit = self._fitted = self._origin_weights = None
        self.least_squares.forget()
        if not state:
            return
        given, own = state.get("curve", {}), self._curve()
        for name in own:
            if given.get(name, own[name]) != own[name]:
                raise UsageError(
                    f"the weights are those of a curve with {name} {given[name]}, this one has {own[name]}: make the "
                    f"module with {name} {given[name]}"
                )
        try:
            self.least_squares.restore(state)
            require_stored(state["origin"], ORIGIN, "origin.")
            lists = {name: tuple(value) for name, value in state["origin"].items() if isinstance(value, list | tuple)}
            times = {name: TimeScale.stored(state["origin"].get(name)) for name in ("x_time", "y_time")}
            self.origin = Origin(**{**state["origin"], **lists, **times})
        except (LookupError, TypeError, ValueError, ArithmeticError, AssertionError) as error:
            why = str(error) if isinstance(error, ValueError) else repr(error)
            raise UsageError(f"the weights come with no fit of this program: {why}; take another file") from error


def state_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of the fit in a checkpoint; that of release 0.1 is not in the ``state_dict``."""
    state: dict[str, Any] = checkpoint["state_dict"].get("_extra_state")
    if state or "moments" not in checkpoint:
        return state or {}
    optimizer = checkpoint.get("optimizer")
    origin = Origin(
        solver="exact" if optimizer is None else "gradient",
        loss_name=checkpoint["hyper_parameters"].get("loss", "MSELoss"),
        optimizer=None if optimizer is None else optimizer["name"],
        updates=checkpoint["global_step"],
    )
    unknown = None
    if origin.loss_name not in ("MSELoss", "NormLoss"):  # release 0.1 did not compute the optimum of other losses
        unknown = Optimum(None, None, origin.loss_name, reason="it is not in this checkpoint").state()
    points = {name: checkpoint.get(name) for name in ("moments", "omitted", "second_pass", "degree")}
    return {**points, "optimum": unknown, "origin": asdict(origin)}


def load_with_fit(module: Any) -> None:
    """Make ``load_state_dict`` of a module with a ``record`` load weights and their fit together."""
    module.register_load_state_dict_pre_hook(_expect_fit)
    module.register_load_state_dict_post_hook(_pin_fit)


def _expect_fit(module: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Add an empty fit to a ``state_dict`` without one, such as that of release 0.1 or a part of a state."""
    state_dict.setdefault(f"{prefix}_extra_state", {})
    weights = state_dict.get(f"{prefix}model.coefficients")
    if weights is not None and not module.is_fitting:
        module.model.to(weights.dtype)  # so that float64 weights are not rounded; a run sets its own dtype


def _pin_fit(module: Any, *_: Any) -> None:
    module.record.pin()


def _same(one: Tensor, two: Tensor) -> bool:
    return one.dtype == two.dtype and torch.equal(one, two)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
