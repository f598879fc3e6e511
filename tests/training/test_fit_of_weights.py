"""A module's result is the fit of its present weights, whether they were trained, loaded or changed."""

import copy
import json
import os
import pickle
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from numpy.polynomial import Polynomial
from torch import Tensor

from regression import Fit, LineRegression, PolynomialRegression, SineLineDataModule, UsageError
from regression.runs.checkpoint_file import read_checkpoint
from tests.support.command import ROOT
from tests.support.preloaded import python

pytestmark = [
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
    pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create"),
]
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
    "num_sanity_val_steps": 0, "log_every_n_steps": 1,
}  # fmt: skip
MODULES: dict[str, Callable[[], LineRegression | PolynomialRegression]] = {
    "line": LineRegression,
    "through the origin": lambda: LineRegression(fit_intercept=False, learning_rate=0.1),
    "legendre": lambda: PolynomialRegression(3, "legendre", updates_per_batch=100),
    "huber": lambda: PolynomialRegression(2, loss="HuberLoss", learning_rate=0.1, domain=(-1.0, 2.0)),
    "without a step": lambda: LineRegression(learning_rate=0.0),
    "through a point": lambda: PolynomialRegression(3, through=[(0.5, 2.5)], fix={"c0": 1}, updates_per_batch=100),
    "terms": lambda: PolynomialRegression(terms=[0, 1, 3], solver="exact", fix={"c1": np.float64(3)}),
    "exact": lambda: PolynomialRegression(3, solver="exact", level=0.5),
    "auto": lambda: PolynomialRegression("auto", criterion="gcv", solver="exact"),
}


def points(**options: Any) -> SineLineDataModule:
    return SineLineDataModule(**{"points": 25, "noise": 0.2, "validation_fraction": 0.2, **options})


def trainer(epochs: int = 5, **options: Any) -> pl.Trainer:
    return pl.Trainer(**{**QUIET, "max_epochs": epochs, "enable_checkpointing": False, **options})


def fitted(name: str, **options: Any) -> tuple[Any, pl.Trainer]:
    module, run = MODULES[name](), trainer(**options)
    run.fit(module, points())
    return module, run


@cache
def kept(name: str) -> tuple[Any, pl.Trainer]:
    """Return a fitted module that no test changes."""
    return fitted(name)


def curve_of(state: dict[str, Any], x: Tensor) -> Tensor:
    """Return a power-basis curve of a state_dict by numpy."""
    domain = state["model._extra_state"]["domain"]
    return torch.from_numpy(Polynomial(state["model.coefficients"].double().numpy(), domain, [-1, 1])(x.numpy()))


class Push(Callback):
    """Moves the weights away from the optimum after a few updates."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, LineRegression)
        if trainer.global_step > 3:
            with torch.no_grad():
                pl_module.model.coefficients.add_(3)


@pytest.mark.filterwarnings("ignore:.*learning rate is 0")
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("way", ["load_from_checkpoint", "load_state_dict", "pickle", "deepcopy", "torch.save"])
def test_the_fit_travels_with_the_weights(tmp_path: Path, name: str, way: str) -> None:
    """A copy of a fitted module, made in any way, has all numbers of the fit, and predicts by them."""
    module, run = kept(name)
    assert module.result is not None
    if way == "load_from_checkpoint":
        run.save_checkpoint(tmp_path / "a.ckpt")
        arrived = type(module).load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    elif way == "load_state_dict":
        torch.save(module.state_dict(), tmp_path / "a.pt")
        arrived = MODULES[name]()
        arrived.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    elif way == "torch.save":
        torch.save(module, tmp_path / "a.pt")
        arrived = torch.load(tmp_path / "a.pt", weights_only=False)
    else:
        arrived = pickle.loads(pickle.dumps(module)) if way == "pickle" else copy.deepcopy(module)
    assert arrived.result == module.result
    (found,) = trainer().predict(arrived, points())  # type: ignore[misc]
    assert torch.equal(found[1], module.result.predict(found[0]).mean)


def test_best_is_not_last(tmp_path: Path) -> None:
    """``ckpt_path="best"`` predicts by the best weights, not by those of the last update."""
    best = ModelCheckpoint(tmp_path, monitor="train_loss", save_weights_only=True)
    module, run = LineRegression(), trainer(8, callbacks=[Push(), best], enable_checkpointing=True)
    run.fit(module, points())
    last = module.result
    (found,) = run.predict(module, points(), ckpt_path="best", weights_only=True)  # type: ignore[misc]
    state = torch.load(best.best_model_path, weights_only=True)["state_dict"]
    torch.testing.assert_close(found[1], curve_of(state, found[0]))
    assert last is not None
    assert module.result is not None
    assert module.result.ssr < last.ssr  # type: ignore[operator]
    assert module.result.updates == 4
    assert last.updates == 8


def test_a_number_type_is_kept(tmp_path: Path) -> None:
    """Weights of a float64 run stay float64 in a module that was made with float32."""
    module, run = fitted("line", precision="64-true")
    run.save_checkpoint(tmp_path / "a.ckpt")
    arrived = LineRegression.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert arrived.model.coefficients.dtype == torch.float64
    assert arrived.result == module.result


@pytest.mark.parametrize("given", ["weights alone", "weights of the last release"])
def test_weights_without_a_fit_predict_nothing(given: str) -> None:
    """A module that was fitted to other points has no result for weights that were loaded without a fit."""
    module, _ = kept("line")
    state = module.state_dict()
    del state["_extra_state"]
    if given == "weights alone":
        del state["model._extra_state"]
    arrived, _ = fitted("line")
    arrived.load_state_dict(state, strict=given != "weights alone")
    assert arrived.result is None
    with pytest.raises(UsageError, match="predictions need a fit, and these weights came without one"):
        trainer().predict(arrived, points())


def test_a_new_module_predicts_nothing() -> None:
    """Predictions of a module that was never fitted are refused in one line."""
    with pytest.raises(UsageError, match="predictions need a fit"):
        trainer().predict(LineRegression(), points())


def test_changed_weights_have_a_fit_of_their_own() -> None:
    """After weights are changed by hand the fit is that of the new ones, without losses of the old."""
    module, _ = fitted("huber")
    before = module.result
    with torch.no_grad():
        module.model.coefficients.mul_(2)
    assert before.loss is not None
    assert before.val_loss is not None
    assert (module.result.loss, module.result.val_loss) == (None, None)
    assert module.result.params == pytest.approx([2 * value for value in before.params], rel=1e-6)
    with torch.no_grad():
        module.model.coefficients.div_(2)
    assert module.result == before


def test_changed_weights_of_an_exact_fit_are_refused() -> None:
    """An exact solution with other weights is no solution."""
    module, _ = fitted("exact")
    with torch.no_grad():
        module.model.coefficients[1] += 1
    with pytest.raises(UsageError, match="the weights are not those of the exact fit that they came with"):
        _ = module.result


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda: PolynomialRegression(3), "with basis legendre, this one has chebyshev: make the module with basis le"),
        (lambda: PolynomialRegression(2, "legendre"), "with degree 3, this one has 2: make the module with degree 3"),
        (LineRegression, "with degree 3, this one has 1"),
    ],
)
def test_weights_of_another_curve_are_refused(module: Callable[[], pl.LightningModule], words: str) -> None:
    """Weights of another curve are refused in a line that names the module they are for."""
    other, _ = kept("legendre")
    with pytest.raises(UsageError, match=words):
        module().load_state_dict(other.state_dict())


def test_a_fit_of_another_shape_is_refused() -> None:
    """A state in which something else stands for the fit is refused in one line."""
    module, _ = kept("line")
    state = module.state_dict()
    state["_extra_state"]["moments"] = {"frame": [1, 2]}
    with pytest.raises(UsageError, match="the weights come with no fit of this program"):
        LineRegression().load_state_dict(state)


@pytest.mark.parametrize("name", ["line", "legendre", "exact", "auto"])
def test_other_points_give_the_fit_that_a_new_module_has(name: str) -> None:
    """A module that is fitted again has the domain of the new points, and converges to what a new module finds."""
    module, _ = fitted(name)
    other = points(low=3.0, high=3.5, validation_fraction=0.0)
    trainer(50).fit(module, other)
    new = MODULES[name]()
    trainer(50).fit(new, other)
    assert module.result is not None
    assert new.result is not None
    assert module.model.domain == new.model.domain == (3.0, 3.5)
    if name in ("exact", "auto"):
        assert module.result == new.result
    else:
        assert module.result.params == pytest.approx(new.result.params, rel=1e-3)
        x = other.training.block(0).x.double()
        right = np.polynomial.polynomial.polyfit(x, other.training.block(0).y.double(), module.model.degree)
        assert module.result.params == pytest.approx(right.tolist(), rel=1e-2)


def test_a_fit_begins_with_the_curve_of_the_last_one() -> None:
    """On nearby points the first loss is that of the previous curve, not of its coefficients in another domain."""
    module, _ = fitted("line")
    before = module.result
    other = points(low=0.2, high=1.3, validation_fraction=0.0)
    logged: list[float] = []

    class Keep(Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
            logged.append(float(pl_module.trace.losses[0]))

    trainer(1, callbacks=[Keep()]).fit(module, other)
    batch = other.training.block(0)
    right = (before.predict(batch.x).mean - batch.y.double()).square().mean()
    assert logged == [pytest.approx(float(right), rel=1e-5)]


def test_a_fit_far_away_begins_with_zeros() -> None:
    """If the previous curve is huge at the new points, the fit begins with zeros."""
    module, _ = fitted("legendre")
    other = points(low=1e6, high=1e6 + 1, validation_fraction=0.0)
    trainer(4).fit(module, other)
    assert module.result is not None
    assert module.result.converged


def test_a_loaded_module_can_be_fitted_to_other_batches(tmp_path: Path) -> None:
    """Weights from within an epoch of other batches can be fitted again, as long as that run is not resumed."""
    module, run = LineRegression(), trainer(1, limit_train_batches=2)
    run.fit(module, points(batch_size=4))
    run.save_checkpoint(tmp_path / "a.ckpt")
    arrived = LineRegression.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    trainer(40).fit(arrived, points(low=2.0, high=4.0))
    assert arrived.result is not None
    assert arrived.result.updates == 40
    assert arrived.model.domain == arrived.result.x_range


@pytest.mark.filterwarnings("ignore:.*will be used instead of")
def test_averaged_weights_keep_their_fit(tmp_path: Path) -> None:
    """A checkpoint of averaged weights has the domain and the fit of the module that was averaged."""
    last = ModelCheckpoint(tmp_path, save_last=True)
    module, run = (
        LineRegression(),
        trainer(6, callbacks=[EMAWeightAveraging(decay=0.5), last], enable_checkpointing=True),
    )
    run.fit(module, points())
    arrived = LineRegression.load_from_checkpoint(last.last_model_path, weights_only=True)
    state = torch.load(last.last_model_path, weights_only=True)["state_dict"]
    x = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert arrived.result is not None
    torch.testing.assert_close(arrived.result.predict(x).mean, curve_of(state, x))
    assert arrived.result.params == pytest.approx(module.result.params, rel=1e-6)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["line_gradient", "chebyshev", "exact", "auto"])
def test_the_last_release_predicts_in_python(name: str) -> None:
    """A Trainer predicts from a checkpoint of the last release, which holds its fit elsewhere."""
    path = ROOT / "tests" / "last_release" / f"{name}.ckpt"
    content, right = read_checkpoint(str(path)), Fit.from_json(path.with_suffix(".json"))
    kind = {"regression.LineRegression": LineRegression, "regression.PolynomialRegression": PolynomialRegression}
    module = kind[content["class_path"]](**content["hyper_parameters"])
    low, high = right.x_range
    data = points(low=low, high=high)
    (found,) = trainer().predict(module, data, ckpt_path=path, weights_only=True)  # type: ignore[misc]
    torch.testing.assert_close(found[1], right.predict(found[0]).mean, rtol=1e-9, atol=1e-12)


SCRIPT = """
import json, warnings
import lightning.pytorch as pl, torch
import regression
warnings.simplefilter("ignore")
torch.set_num_threads(1)

def fitted(module, **options):
    trainer = pl.Trainer(accelerator="cpu", max_epochs=4, logger=False, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False, **options)
    trainer.fit(module, regression.SineLineDataModule(points=25, noise=0.2, validation_fraction=0.2))
    return json.loads(module.result.to_json())

for strategy, module in (("ddp_fork", regression.LineRegression),
                         ("ddp_notebook", lambda: regression.PolynomialRegression(3, solver="exact"))):
    print(json.dumps([fitted(module()), fitted(module(), strategy=strategy, devices=2)]))
"""


def test_forked_processes_hand_back_the_fit(tmp_path: Path) -> None:
    """After a fit in forked processes, the module in this process has the result of one process."""
    done = subprocess.run(
        [python(), "-c", SCRIPT], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=240,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pairs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[{")]
    assert len(pairs) == 2
    for one, two in pairs:
        assert two == one
