"""Private names of Lightning and jsonargparse are used in three files only, and are there."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import lightning.pytorch as pl
import pytest
from jsonargparse import _actions, _typehints
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from regression import LineRegression, PolynomialRegression
from regression.cli.parser_internals import IMPORTER, LOADER, MAKER, cached_parsers
from tests.test_architecture import PACKAGE, dotted

DOORS = {
    "regression.training.lightning_counters",
    "regression.runs.lightning_internals",
    "regression.cli.parser_internals",
}
FOREIGN = ("lightning", "jsonargparse")
WINGS = ("readers", "data", "training", "outputs", "runs", "cli")  # those that know of Lightning, and the readers
PATHS = [path for wing in WINGS for path in (PACKAGE / wing).rglob("*.py")]
TREES = {dotted(path): ast.parse(path.read_text(encoding="utf-8")) for path in PATHS}
OTHERS = {"_exit", "_fields", "_make", "_replace"}  # of os, and of named tuples: documented


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def given_names() -> set[str]:
    """Return the names that the package itself gives: to functions, classes, variables and attributes of its own."""
    found = set[str]()
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            found.add(node.attr)
    return found


def used_names(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a file imports from Lightning or jsonargparse, or reaches for in an object."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(FOREIGN):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from filter(is_private, names)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr


def test_no_other_wing_knows_lightning() -> None:
    """The wings that are not looked through import neither."""
    imports = re.compile(rf"^\s*(import|from) ({'|'.join(FOREIGN)})", re.MULTILINE)
    others = [path for path in PACKAGE.rglob("*.py") if path not in PATHS]
    assert others
    assert not [path for path in others if imports.search(path.read_text(encoding="utf-8"))]


def test_private_names_are_used_behind_three_doors() -> None:
    """No other file imports or reaches for a private name that the package does not give itself."""
    known = given_names() | OTHERS
    strange = {(name, used) for name, tree in TREES.items() for used in set(used_names(tree)) - known}
    assert {name for name, _ in strange} <= DOORS
    assert len(strange) > 5  # else this test would see nothing


def test_private_methods_are_replaced_behind_three_doors() -> None:
    """No class elsewhere defines a private name that a class of Lightning or jsonargparse above it has."""
    replaced = set()
    for module in map(importlib.import_module, TREES):
        for own in (kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ in TREES):
            above = [base for base in own.__mro__ if base.__module__.startswith(FOREIGN)]
            taken = {name for base in above for name in vars(base) if is_private(name) and name != "_abc_impl"}
            replaced |= {(own.__module__, name) for name in taken & set(vars(own))}
    assert {module for module, _ in replaced} <= DOORS
    assert ("regression.cli.parser_internals", "_parse_ckpt_path") in replaced


def test_the_names_are_there() -> None:
    """This version of Lightning and jsonargparse has what the three files use."""
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    assert isinstance(trainer._signal_connector, _SignalConnector)
    assert hasattr(trainer._accelerator_connector, "cluster_environment")
    assert trainer.fit_loop.epoch_loop._batches_that_stepped == 0
    assert callable(_SignalConnector._slurm_sigusr_handler_fn)
    assert callable(_SubprocessScriptLauncher._call_children_scripts)
    assert {"_timeout", "_launcher"} <= vars(DDPStrategy()).keys()
    assert callable(LightningCLI._parse_ckpt_path)
    assert {IMPORTER, LOADER} <= vars(_typehints).keys()
    assert IMPORTER in vars(_actions)


def test_a_class_has_one_parser_until_the_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks by this name for the parser of a class gets the same one, and a new one again afterwards."""
    owner = _typehints.ActionTypeHint
    assert list(inspect.signature(getattr(owner, MAKER)).parameters) == ["val_class", "sub_add_kwargs", "skip_args"]
    monkeypatch.setattr(owner, MAKER, staticmethod(lambda *_: object()))
    with cached_parsers():
        assert owner.get_class_parser(LineRegression) is owner.get_class_parser(LineRegression)
        assert owner.get_class_parser(LineRegression) is not owner.get_class_parser(PolynomialRegression)
        linked = {"linked_targets": {"degree"}}
        assert owner.get_class_parser(LineRegression, linked) is not owner.get_class_parser(LineRegression, linked)
    assert owner.get_class_parser(LineRegression) is not owner.get_class_parser(LineRegression)
