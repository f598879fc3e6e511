"""A fit as HTML for notebooks: a table of the coefficients with a small figure, on light and dark pages."""

import numpy as np
import torch
from numpy.typing import NDArray

from regression.common.html_table import html_table, safe_html
from regression.fits.report import title_lines
from regression.fits.result import FitResult
from regression.fits.tables import coefficient_rows, interval_head

__all__ = ["html"]

WIDTH, HEIGHT, MARGIN = 300, 190, 22  # of the figure, in pixels
CURVE_POINTS = 80
MAX_SIZE = 1e300  # differences of larger numbers may be beyond float64's range
CURVE_COLOR, POINT_COLOR = "#d1571b", "#4b8bd0"  # visible on white and on black

Array = NDArray[np.float64]


def html(fit: FitResult) -> str:
    """Return a fit as HTML."""
    first, *others = title_lines(fit)
    table = html_table(["coefficient", "value ± error", interval_head(fit), "t", "p"], coefficient_rows(fit))
    notes = "".join(f"<div>note: {safe_html(note)}</div>" for note in fit.notes)
    titles = "".join(f"<div>{safe_html(line)}</div>" for line in others)
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start"><div style="max-width:48em">'
        f"<div><b>{safe_html(first)}</b></div>{titles}"
        f"{table}{notes}</div>{_svg(fit)}</div>"
    )


def _svg(fit: FitResult) -> str:
    """Return the curve, its confidence band and some points as SVG: importing matplotlib would take a second."""
    low, high = fit.x_range
    x = torch.linspace(low, high, CURVE_POINTS, dtype=torch.float64)
    values = fit.predict(x)
    shown = [] if fit.sample is None else [fit.sample.y.double().numpy()]
    numbers = np.concatenate([values.mean.numpy(), *shown])
    if not np.isfinite(numbers).all() or low == high or max(abs(low), abs(high), np.abs(numbers).max()) > MAX_SIZE:
        return ""
    bottom, top = float(numbers.min()), float(numbers.max())
    margin = 0.05 * (top - bottom) or 1.0
    box = (low, high, bottom - margin, top + margin)
    band = [values.mean_ci_lower.numpy(), values.mean_ci_upper.numpy()]
    parts = [
        f'<path d="{_path(x.numpy(), values.mean.numpy(), box)}" fill="none" stroke="{CURVE_COLOR}" stroke-width="2"/>'
    ]
    if np.isfinite(band).all():
        lower, upper = _path(x.numpy(), band[0], box), _path(x.numpy()[::-1], band[1][::-1], box)
        parts.insert(0, f'<path d="{lower} L{upper[1:]} Z" fill="{CURVE_COLOR}" fill-opacity="0.25"/>')
    if fit.sample is not None:
        pixels = _pixels(fit.sample.x.double().numpy(), fit.sample.y.double().numpy(), box)
        size = 3 if len(pixels) <= 60 else 1.5
        dots = "".join(f'<circle cx="{h:.1f}" cy="{v:.1f}" r="{size}"/>' for h, v in pixels)
        parts.insert(1, f'<g fill="{POINT_COLOR}">{dots}</g>')
    return _frame("".join(parts), fit.axes, box)


def _frame(inner: str, axes: tuple[str, str], box: tuple[float, float, float, float]) -> str:
    """Return SVG elements in a frame, with the names of both axes and the numbers at their ends."""
    x, y = (safe_html(name) for name in axes)
    right, base = WIDTH - 4, HEIGHT - MARGIN
    frame = f'x="{MARGIN}" y="4" width="{right - MARGIN}" height="{base - 4}"'
    middle = (right + MARGIN) / 2
    texts = [
        f'<text x="{MARGIN}" y="{HEIGHT - 7}">{box[0]:.4g}</text>',
        f'<text x="{right}" y="{HEIGHT - 7}" text-anchor="end">{box[1]:.4g}</text>',
        f'<text x="{middle}" y="{HEIGHT - 7}" text-anchor="middle">{x}</text>',
        f'<text transform="translate({MARGIN - 7},{base / 2}) rotate(-90)" text-anchor="middle">{y}</text>',
        f'<text x="{MARGIN + 4}" y="15">{box[3]:.4g}</text>',
        f'<text x="{MARGIN + 4}" y="{base - 4}">{box[2]:.4g}</text>',
    ]
    # The nested svg clips what is outside of the frame.
    view = f"{MARGIN} 4 {right - MARGIN} {base - 4}"
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" font-size="11" fill="currentColor" role="img" '
        f'aria-label="{y} against {x}"><svg {frame} viewBox="{view}">{inner}</svg>'
        f'<rect {frame} fill="none" stroke="currentColor" stroke-opacity="0.4"/>{"".join(texts)}</svg>'
    )


def _pixels(x: Array, y: Array, box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    """Return points as pixel coordinates."""
    low, high, bottom, top = box
    across = MARGIN + (WIDTH - 4 - MARGIN) * (x - low) / (high - low)
    down = 4 + (HEIGHT - MARGIN - 4) * (top - y) / (top - bottom)
    return list(zip(across.tolist(), np.clip(down, -1e4, 1e4).tolist(), strict=True))


def _path(x: Array, y: Array, box: tuple[float, float, float, float]) -> str:
    return "M" + " L".join(f"{h:.1f},{v:.1f}" for h, v in _pixels(x, y, box))
