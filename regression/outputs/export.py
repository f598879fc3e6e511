"""A fitted curve as a file that other programs can run: ONNX, or a program of ``torch.export``."""

import io
import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from regression.common.atomic_files import write_new
from regression.common.errors import UsageError
from regression.common.version import __version__
from regression.curves.basis import Basis, design
from regression.curves.change_of_basis import u_in_powers
from regression.curves.chart import Chart
from regression.curves.decimals import combine, precise
from regression.curves.frame import Frame
from regression.curves.polynomial import Polynomial
from regression.fits.fit import Fit

__all__ = ["SUFFIXES", "Format", "export"]

Format = Literal["onnx", "torch"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
SHAPES = {"x": {0: torch.export.Dim("N", min=0)}}
METADATA_FILE = "regression.json"
EXISTS = "{} exists and is not written over: name another file with --output"


def export(model: Polynomial | Fit, to: Format, path: str | Path) -> None:
    """Write a curve as an ONNX model or as a program of ``torch.export``.

    The file's input ``x`` holds float64 points, shape (N,), for any N from 0; its output ``mean`` holds f(x), shape
    (N,), in the dtype of the coefficients. The program gives the bits of ``model(x)``, or of ``Fit.predict(x).mean``;
    so does ONNX, except for the order in which its runtime adds the K terms. Names and params (the coefficients in
    powers of x), domain and this package's version are in the ONNX model's metadata, and as JSON in the program's extra
    file ``regression.json``.

    Args:
        model: The curve, such as ``PolynomialRegression(...).model``, or a fit, which is written in float64.
        to: ``onnx`` or ``torch``.
        path: The file to write; it must not exist.

    Raises:
        UsageError: If the file exists or cannot be written, or the packages for ONNX are not installed.
    """
    path = Path(path)
    _require_new(path)
    if to not in SUFFIXES:
        raise UsageError(f"to must be one of {', '.join(SUFFIXES)}, got {to!r}")
    missing = [name for name in ("onnx", "onnxscript") if to == "onnx" and find_spec(name) is None]
    if missing:
        raise UsageError(f"ONNX needs {' and '.join(missing)}, not installed here: pip install onnx onnxscript")
    formula, metadata = Formula.of(model, has_column=to == "onnx"), _metadata(model)
    with _quiet():
        example = torch.zeros(3, dtype=torch.float64)  # the exporter would make a size of 0 or 1 a constant
        program = torch.export.export(formula.eval(), (example,), dynamic_shapes=SHAPES)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it contains paths of this machine
        content = _onnx_file(program, metadata) if to == "onnx" else _program_file(program, metadata)
    write_new(path, content, str(path), EXISTS.format(path), "name another file with --output")


def _onnx_file(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    onnx = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=["x"], output_names=["mean"], dynamic_shapes=SHAPES
    )
    assert onnx is not None
    onnx.model.producer_name, onnx.model.producer_version = "regression", metadata["version"]
    onnx.model.metadata_props.update(metadata)
    for node in onnx.model.graph:
        node.metadata_props.clear()  # what the exporter adds would be most of the file
    return bytes(onnx.model_proto.SerializeToString())


def _program_file(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={METADATA_FILE: json.dumps(metadata)})
    return content.getvalue()


def _metadata(model: Polynomial | Fit) -> dict[str, str]:
    """Return the metadata of the file: numbers and names as JSON, other values as text."""
    domain: tuple[float, float] | None
    if isinstance(model, Fit):
        domain = (model.curve.center - model.curve.scale, model.curve.center + model.curve.scale)
        basis, params = "chebyshev", list(model.params)
    else:
        basis, domain, params = model.basis, model.domain, _params(model)
    finite = [value if math.isfinite(value) else None for value in params]
    numbers = {"names": model.names, "params": finite, "domain": domain}
    return {"version": __version__, "basis": basis, **{name: json.dumps(value) for name, value in numbers.items()}}


def _params(model: Polynomial) -> list[float]:
    unit = Frame(0.0, 0, 1.0, 0.0, 0, 0, -1.0, 1.0)  # u = x: the coefficients in powers of x do not depend on the frame
    with precise():
        found = combine(u_in_powers(unit, model.degree), Chart(unit, model).curve(model.coefficients))
        return [float(found[power]) for power in model.powers]


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporters' messages about installed packages and future versions."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _require_new(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(EXISTS.format(path))
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; name another file with --output")


class Formula(nn.Module):
    """``f(x) = Σ a_k φ_k(t)`` with ``t = (x - center) / scale``, in operations that both formats have.

    They are those of ``Polynomial.forward`` in the same order, so the result has the same bits.

    Args:
        coefficients: The coefficients a, shape (K,), float32 or float64; the result has their type.
        basis: The functions φ.
        mapping: Center and scale, or ``None`` for raw x.
        fit_intercept: Whether there is a constant term.
        has_column: Whether the sum is computed as a product with a matrix of one column, because runtimes of ONNX
            refuse the product of a matrix without rows and a vector. The last bits differ.

    Raises:
        UsageError: If there are no coefficients, or they are not finite, or of another type.
    """

    coefficients: Tensor
    center: Tensor
    scale: Tensor

    def __init__(
        self,
        coefficients: Tensor,
        basis: Basis = "chebyshev",
        mapping: tuple[float, float] | None = None,
        fit_intercept: bool = True,
        has_column: bool = False,
    ) -> None:
        super().__init__()
        if coefficients.dtype not in (torch.float32, torch.float64):
            raise UsageError(
                f"the coefficients must be float32 or float64, got {coefficients.dtype}: convert the model"
            )
        if not len(coefficients) or not coefficients.isfinite().all() or not all(map(math.isfinite, mapping or ())):
            raise UsageError(f"the coefficients must be finite numbers, got {coefficients.tolist()}: nothing to export")
        self.basis, self.fit_intercept, self.is_mapped = basis, fit_intercept, mapping is not None
        self.has_column = has_column
        self.register_buffer("coefficients", coefficients.detach().cpu().clone())
        for name, value in zip(("center", "scale"), mapping or (), strict=False):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    @classmethod
    def of(cls, model: Polynomial | Fit, has_column: bool = False) -> "Formula":
        """Return the formula of a model, or of a fit, in float64 and Chebyshev polynomials of its range of x."""
        if isinstance(model, Fit):
            curve = model.curve
            mapping = (curve.center, curve.scale)
            return cls(torch.tensor(curve.in_y_unit, dtype=torch.float64), mapping=mapping, has_column=has_column)
        low, high = model.domain or (-1.0, 1.0)
        center_scale = None if model.domain is None else (low / 2 + high / 2, high / 2 - low / 2)
        return cls(model.expanded, model.basis, center_scale, model.has_constant, has_column)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (N,), for float64 points x of shape (N,)."""
        if self.is_mapped:
            x = (x - self.center) / self.scale
        t = x.to(self.coefficients.dtype)
        highest = len(self.coefficients) - 1
        columns = design(t, highest, self.basis)
        matrix = columns if self.fit_intercept else t[:, None] * columns
        return (matrix @ self.coefficients[:, None])[:, 0] if self.has_column else matrix @ self.coefficients
