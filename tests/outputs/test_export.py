"""An exported curve is the model's curve, in both formats."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.polynomial import Chebyshev, Legendre
from numpy.polynomial import Polynomial as Power
from torch import Tensor

import regression
from regression import Fit, Polynomial, UsageError
from regression.curves.constraints import Constraints
from regression.outputs.export import SUFFIXES, Format, export
from regression.runs.checkpoint_file import SafeCheckpointIO
from tests.support.command import Command, config, run_process

BOTH: tuple[Format, Format] = ("onnx", "torch")
NUMPY = {"power": Power, "chebyshev": Chebyshev, "legendre": Legendre}
DOMAIN = (0.3, 7.9)
CASES = [
    (0, "power", None, True, torch.float32),
    (0, "chebyshev", DOMAIN, True, torch.float64),
    (1, "power", None, False, torch.float64),
    (1, "legendre", DOMAIN, True, torch.float32),
    (4, "power", DOMAIN, True, torch.float32),
    (4, "chebyshev", DOMAIN, False, torch.float32),
    (12, "power", None, True, torch.float64),
    (12, "legendre", DOMAIN, True, torch.float64),
    (60, "power", DOMAIN, True, torch.float32),
    (60, "chebyshev", DOMAIN, True, torch.float64),
]
# An export takes seconds: some cases are in every run, the others with -m slow.
SAMPLE = [case if k in (0, 5, 7, 8) else pytest.param(case, marks=pytest.mark.slow) for k, case in enumerate(CASES)]


def a_model(degree: int, basis: Any, domain: tuple[float, float] | None, intercept: bool, dtype: Any) -> Polynomial:
    """Return a model with coefficients in [−1, 1] from a fixed seed."""
    model = Polynomial(degree, basis, domain, intercept).to(dtype)
    values = 2 * torch.rand(degree + intercept, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) - 1
    model.coefficients.data.copy_(values)
    return model


def points(n: int, domain: tuple[float, float] | None) -> Tensor:
    low, high = domain or (-1.0, 1.0)
    return low + (high - low) * torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))


def run_file(path: Path, x: Tensor) -> Tensor:
    """Return what an exported file computes for x."""
    if path.suffix == ".pt2":
        result: Tensor = torch.export.load(path).module()(x)
        return result
    (mean,) = onnxruntime.InferenceSession(path).run(["mean"], {"x": x.numpy()})
    return torch.from_numpy(mean)


def steps(model: Polynomial, x: Tensor) -> Tensor:
    """Return the rounding unit of each sum Σ a_k φ_k(t): that of Σ |a_k φ_k(t)|."""
    terms = (model.design(x) * model.coefficients).detach().double().abs().sum(dim=1)
    return terms * torch.finfo(model.coefficients.dtype).eps


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_the_program_has_the_bits_of_the_model(tmp_path: Path, case: tuple[Any, ...]) -> None:
    """The torch program gives the model's own bits and type for 0, 1, 2 and 1,000 points."""
    model, path = a_model(*case), tmp_path / "fit.pt2"
    export(model, "torch", path)
    for n in (0, 1, 2, 1000):
        x = points(n, model.domain)
        mean = run_file(path, x)
        assert mean.dtype == model.coefficients.dtype
        assert torch.equal(mean, model(x).detach())


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_onnx_gives_the_curve_of_the_model(tmp_path: Path, case: tuple[Any, ...]) -> None:
    """In onnxruntime the curve has the model's type, and differs at most by the order in which terms are added."""
    model, path = a_model(*case), tmp_path / "fit.onnx"
    export(model, "onnx", path)
    for n in (0, 1, 2, 1000):
        x = points(n, model.domain)
        mean = run_file(path, x)
        assert (mean.dtype, mean.shape) == (model.coefficients.dtype, (n,))
        assert ((mean.double() - model(x).detach().double()).abs() <= 6 * steps(model, x)).all()


@pytest.mark.parametrize(("to", "basis"), [("onnx", "legendre"), *(("torch", basis) for basis in NUMPY)])
def test_numpy_computes_the_same_curve(tmp_path: Path, to: Format, basis: str) -> None:
    """The file's curve is numpy's of the same coefficients and domain."""
    model, path = (
        a_model(7, basis, DOMAIN, True, torch.float64),
        tmp_path / f"fit{'.pt2' if to == 'torch' else '.onnx'}",
    )
    export(model, to, path)
    x = points(50, DOMAIN)
    expected = NUMPY[basis](model.coefficients.detach().numpy(), domain=DOMAIN)(x.numpy())
    np.testing.assert_allclose(run_file(path, x).numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("to", BOTH)
def test_a_curve_within_constraints_is_exported_whole(tmp_path: Path, to: Format) -> None:
    """The file's curve goes through the given point, and its params are those of the chosen powers."""
    model = Polynomial(3, "legendre", DOMAIN).double()
    model.constrain(Constraints.of(model.powers, terms=[0, 1, 3], fix={"c0": 0.5}, through=[(2, -1)]))
    model.coefficients.data.fill_(0.75)
    path = tmp_path / f"fit{SUFFIXES[to]}"
    export(model, to, path)
    x = torch.tensor([2.0, 0.0, 1.0, -1.0], dtype=torch.float64)
    found = run_file(path, x).tolist()
    assert found == pytest.approx([-1, 0.5, *model(x[2:]).tolist()], rel=1e-12)
    metadata = (
        {entry.key: entry.value for entry in onnx.load(path).metadata_props} if to == "onnx" else program_facts(path)
    )
    assert json.loads(metadata["names"]) == ["c0", "c1", "c3"]
    c0, c1, c3 = json.loads(metadata["params"])
    assert [c0, 2 * c1 + 8 * c3, c1 + c3] == pytest.approx([0.5, -1.5, found[2] - 0.5], rel=1e-12)


def test_onnx_is_valid_and_has_its_metadata(tmp_path: Path) -> None:
    """The ONNX file passes the checker; it names x, mean and N, and its metadata the coefficients in powers of x."""
    path = tmp_path / "fit.onnx"
    export(a_model(2, "chebyshev", (1.0, 5.0), True, torch.float64), "onnx", path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (x,), (mean,) = model.graph.input, model.graph.output
    assert [x.name, mean.name] == ["x", "mean"]
    assert [d.dim_param for io in (x, mean) for d in io.type.tensor_type.shape.dim] == ["N", "N"]
    check_facts({entry.key: entry.value for entry in model.metadata_props})


def test_the_program_has_its_metadata(tmp_path: Path) -> None:
    """The program carries the coefficients in powers of x, their names and the domain in an extra file."""
    path = tmp_path / "fit.pt2"
    export(a_model(2, "chebyshev", (1.0, 5.0), True, torch.float64), "torch", path)
    check_facts(program_facts(path))


def program_facts(path: Path) -> dict[str, str]:
    extra = {"regression.json": ""}
    torch.export.load(path, extra_files=extra)
    metadata: dict[str, str] = json.loads(extra["regression.json"])
    return metadata


def check_facts(metadata: dict[str, str]) -> None:
    model = a_model(2, "chebyshev", (1.0, 5.0), True, torch.float64)
    powers = Chebyshev(model.coefficients.detach().numpy(), domain=(1, 5)).convert(kind=Power)
    assert json.loads(metadata["params"]) == pytest.approx(powers.coef.tolist(), rel=1e-13)
    assert json.loads(metadata["names"]) == ["c0", "c1", "c2"]
    assert json.loads(metadata["domain"]) == [1, 5]
    assert metadata["basis"] == "chebyshev"
    assert metadata["version"]


@pytest.mark.parametrize("to", BOTH)
def test_no_folder_of_this_machine_is_in_the_file(tmp_path: Path, to: Format) -> None:
    """Neither format holds the path of the code that wrote it."""
    export(a_model(*CASES[4]), to, tmp_path / "fit")
    content = (tmp_path / "fit").read_bytes()
    assert str(Path(regression.__file__).parent).encode() not in content
    assert str(Path(torch.__file__).parent).encode() not in content


@pytest.mark.parametrize(("to", "name"), [("onnx", "fit.onnx"), ("torch", "fit.pt2")])
def test_a_gradient_fit_is_exported_from_its_checkpoint(command: Command, to: str, name: str) -> None:
    """``export`` writes into the run's folder, prints one line, and the file gives what ``predict`` does."""
    run = command("fit", "-c", config("line"))
    done = command("export", "--ckpt_path", run.checkpoint, "--to", to)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    assert run.folder is not None
    assert done.out.startswith(f"wrote {run.folder}/{name}; ")
    predicted = command("predict", "--ckpt_path", run.checkpoint)
    x, mean = np.loadtxt(f"{predicted.folder}/predictions.csv", delimiter=",", skiprows=1, usecols=(0, 1), unpack=True)
    ours = run_file(run.folder / name, torch.from_numpy(x))
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), mean, rtol=3e-7)


@pytest.mark.parametrize("to", BOTH)
def test_an_exact_fit_is_exported_from_its_json(command: Command, to: Format) -> None:
    """From fit.json the curve is that of ``Fit.predict`` to float64's rounding, and the checkpoint's file agrees."""
    run = command("fit", "--model", "PolynomialRegression", "--model.solver", "exact", "--data.low", "-3")
    assert run.folder is not None
    suffix = SUFFIXES[to]
    done = command("export", "--ckpt_path", f"{run.folder}/fit.json", "--to", to, "--output", f"a{suffix}")
    again = command("export", "--ckpt_path", run.checkpoint, "--to", to, "--output", f"b{suffix}")
    assert (done.code, again.code, done.err + again.err) == (0, 0, "")
    x = torch.linspace(-3, 1, 20, dtype=torch.float64)
    mean = Fit.from_json(run.folder / "fit.json").predict(x).mean
    tolerance = {"rtol": 1e-14, "atol": 1e-14}
    torch.testing.assert_close(run_file(Path(f"a{suffix}"), x), mean, **tolerance)
    torch.testing.assert_close(run_file(Path(f"b{suffix}"), x), mean, rtol=1e-13, atol=1e-13)


def test_nothing_is_written_over(command: Command) -> None:
    """A file that exists stays as it is, and the refusal names it and the option."""
    run = command("fit", "-c", config("line"))
    assert run.folder is not None
    (run.folder / "fit.pt2").write_text("mine")
    done = command("export", "--ckpt_path", run.checkpoint, "--to", "torch")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "fit.pt2 exists and is not written over: name another file with --output" in done.err
    assert (run.folder / "fit.pt2").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file cannot be written, one line says so and no part of it is left."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .*fit\.pt2: No space left on device; name another file"):
        export(a_model(*CASES[0]), "torch", tmp_path / "fit.pt2")
    assert list(tmp_path.iterdir()) == []


def test_without_its_packages_onnx_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If onnxscript is not installed, ``onnx`` is refused with the command that installs it."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ONNX needs onnxscript, not installed here: pip install onnx onnxscript"):
        export(a_model(*CASES[0]), "onnx", tmp_path / "fit.onnx")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_without_numbers_is_refused(tmp_path: Path, value: float) -> None:
    """Coefficients that are not finite are not exported."""
    model = a_model(*CASES[4])
    model.coefficients.data[1] = value
    with pytest.raises(UsageError, match="coefficients must be finite numbers"):
        export(model, "torch", tmp_path / "fit.pt2")


REFUSED = [
    ((), "export needs a fitted model"),
    (("--to", "torch"), "--ckpt_path is missing"),
    (("--ckpt_path", "line.ckpt"), "--to is missing; --help"),
    (("--ckpt_path", "nope.ckpt", "--to", "torch"), "checkpoint not found: nope.ckpt"),
    (("--ckpt_path", "nope.json", "--to", "torch"), "cannot read the fit nope.json: No such file"),
    (("--ckpt_path", "bad.json", "--to", "torch"), "not a fit of this program"),
    (("--ckpt_path", "text.json", "--to", "torch"), "not a fit of this program: text.json"),
    (("--ckpt_path", "other.ckpt", "--to", "torch"), "other.ckpt holds a os.Thing; expected best.ckpt or last.ckpt"),
    (("--ckpt_path", "mixed.ckpt", "--to", "torch"), "not a checkpoint of this program: mixed.ckpt: "),
    (("--ckpt_path", "line.ckpt", "--to", "onx"), "--to must be one of 'onnx', 'torch', got onx"),
    (("--ckpt_path", "line.ckpt", "--too", "onnx"), "did you mean --to?"),
    (("--ckpt_path", "line.ckpt", "--to", "torch", "--output", "no/f.pt2"), "there is no folder no"),
    (("--ckpt_path", "line.ckpt", "--to", "torch", "--outpt", "f"), "unknown option --outpt; did you mean --output?"),
]


@pytest.mark.parametrize(("args", "words"), REFUSED, ids=[" ".join(args) for args, _ in REFUSED])
def test_wrong_input_costs_one_line(command: Command, args: tuple[str, ...], words: str) -> None:
    """Wrong input is refused in one line that says why, with status 2."""
    line = {"class_path": "regression.LineRegression", "hyper_parameters": {},
            "state_dict": regression.LineRegression().state_dict(), "loops": {}, "global_step": 1}  # fmt: skip
    for name, change in {"line": {}, "other": {"class_path": "os.Thing"},
                         "mixed": {"class_path": "regression.PolynomialRegression"}}.items():  # fmt: skip
        SafeCheckpointIO().save_checkpoint(line | change, f"{name}.ckpt")
    Path("bad.json").write_text('{"curve": {}}')
    Path("text.json").write_text("hello")
    done = command("export", *args)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert words in done.err
    assert done.err.startswith("regression: ")


def test_export_is_in_the_help(command: Command) -> None:
    """The help lists ``export``, whose own help is its docstring, and a misspelt word suggests it."""
    assert "\n  export    write a fitted curve" in command("--help").out
    shown = command("export", "--help")
    assert shown.code == 0
    for text in ("a file that other programs can run", "--ckpt_path", "best.ckpt", "--output"):
        assert text in shown.out
    assert "did you mean export?" in command("exprt").err
    with pytest.raises(UsageError, match="checkpoint not found"):
        command("export", "--ckpt_path", "nope.ckpt", "--to", "torch", "--debug")


def test_the_exporters_are_silent(tmp_path: Path) -> None:
    """In its own process ``export --to onnx`` prints one line, and nothing on stderr."""
    fit = regression.fit([0, 1, 2, 3], [1, 2, 2, 4], degree=1)
    (tmp_path / "fit.json").write_text(fit.to_json())
    done = run_process(tmp_path, "export", "--ckpt_path", "fit.json", "--to", "onnx")
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    assert done.out.startswith("wrote fit.onnx; ")
