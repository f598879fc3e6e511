"""The third panel of a figure: the losses of a descent, or the criteria of the compared degrees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from regression.figures.panels import BLUE, MAX_LARGE_POINTS, ORANGE
from regression.inference.fitted import Fitted

__all__ = ["Degrees", "Losses", "compared_degrees"]


@dataclass(frozen=True)
class Losses:
    """A panel of the losses of a descent.

    Attributes:
        by_update: Losses by the number of updates made before, at least one.
        name: Name of the loss.
    """

    by_update: Mapping[int, float]
    name: str

    def draw(self, axes: Axes) -> None:
        """Draw the losses."""
        updates, losses = list(self.by_update), list(self.by_update.values())
        marker = "o" if len(losses) <= MAX_LARGE_POINTS else ""
        axes.plot(updates, losses, color=ORANGE, linewidth=1.5, marker=marker, markersize=4)
        _use_log_scale(axes, losses)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel="updates made", ylabel=self.name)


@dataclass(frozen=True)
class Degrees:
    """A panel of the criterion of the compared degrees; the lowest value is marked.

    Attributes:
        by_degree: Values of the criterion by degree, at least one.
        name: Name of the criterion.
    """

    by_degree: Mapping[int, float]
    name: str

    def draw(self, axes: Axes) -> None:
        """Draw the criteria."""
        degrees, criteria = list(self.by_degree), list(self.by_degree.values())
        best = min(self.by_degree, key=lambda degree: self.by_degree[degree])
        axes.plot(degrees, criteria, "o-", color=BLUE, linewidth=1, markersize=4)
        axes.plot(best, self.by_degree[best], "o", color=ORANGE, markersize=9, label="lowest")
        axes.set_xticks(degrees)
        _use_log_scale(axes, criteria)
        axes.legend(frameon=False, fontsize="small", loc="upper right")
        axes.set(xlabel="degree", ylabel=self.name)


def compared_degrees(fit: Fitted) -> Degrees | None:
    """Return the panel of the degrees that were compared for a fit; ``None`` if its degree was given."""
    known = {int(row["degree"] or 0): row.get(fit.criterion or "") for row in fit.degree_table}
    criteria = {degree: value for degree, value in known.items() if value is not None}
    return Degrees(criteria, fit.criterion) if criteria and fit.criterion else None


def _use_log_scale(axes: Axes, values: Sequence[float]) -> None:
    if values and min(values) > 0 and max(values) >= 100 * min(values):
        axes.set_yscale("log")
