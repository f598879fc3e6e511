"""Any number of devices gives the fit, the log, the metrics and the predictions of one."""

import json
import math
import os
import random
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from regression.common.points import Points
from regression.data.batches import GlobalBatches
from regression.data.rows import MemoryRows
from tests.support.command import ROOT
from tests.support.preloaded import python
from tests.support.process_groups import LIMIT_S, OPTIMIZERS, Case, table

ROWS, BATCHES, SIZES = range(1, 14), (None, 1, 3), (2, 3, 4)
TOLERANCE = {"64-true": 1e-12, "32-true": 1e-5}
EXACT = [Case(rows, size, "exact") for rows, size in product(ROWS, BATCHES)]
STEPS = [Case(*case) for case in product(ROWS, BATCHES, OPTIMIZERS, TOLERANCE)]
BLOCKS = [Case(rows, None, name, "64-true", 4) for rows, name in product(ROWS, OPTIMIZERS)]
SWEEPS = [Case(rows, 3, name, "64-true", 2) for rows, name in product(ROWS, OPTIMIZERS)]
LOSSES = [Case(rows, 3, "SGD", "64-true", 1, loss) for rows, loss in product(ROWS, ("NormLoss", "HuberLoss"))]
# With a line search a difference in the last bit of a sum can lead to another path, so only whole float64 batches.
SHARED = [
    case._replace(is_shared=True)
    for case in (*STEPS, *BLOCKS, *LOSSES)
    if case.optimizer != "LBFGS" or (case.batch_size, case.precision) == (None, "64-true")
]
CONSTRAINED = [case._replace(is_constrained=True) for case in (*EXACT, *STEPS, *BLOCKS, *SHARED)]
KINDS = (EXACT, STEPS, STEPS, BLOCKS, SWEEPS, LOSSES, SHARED, SHARED, CONSTRAINED, CONSTRAINED)


def fitted(folder: Path, cases: list[Case], sizes: tuple[int, ...]) -> dict[int, list[list[dict[str, Any]]]]:
    """Return the results of each rank, for each size of a group and each case."""
    for rows in ROWS:
        table(folder, rows)
    (folder / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [python(), "-m", "tests.support.process_groups", str(folder), *map(str, sizes)],
        cwd=ROOT, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True,
        timeout=LIMIT_S * len(sizes),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    names = {size: [folder / f"{size}-{rank}.json" for rank in range(size)] for size in sizes}
    return {size: [json.loads(path.read_text()) for path in paths] for size, paths in names.items()}


def differences(one: Any, other: Any, tolerance: float, path: str = "") -> list[str]:
    """Return where two nested values differ by more than a share of the first, or of 1 if that is larger."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [place for key in one for place in differences(one[key], other[key], tolerance, f"{path}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [place for at in range(len(one)) for place in differences(one[at], other[at], tolerance, f"{path}/{at}")]
    if isinstance(one, float) and isinstance(other, float):
        same = one == other or abs(one - other) <= tolerance * max(1, abs(one))
        same = same or (math.isnan(one) and math.isnan(other))
        return [] if same else [f"{path}: {one!r} is {other!r}"]
    return [] if one == other else [f"{path}: {one!r} is {other!r}"]


def numbers(text: str) -> list[list[float]]:
    """Return the cells of predictions, an unknown one as NaN."""
    words = {"": "nan", "true": "1", "false": "0"}
    return [[float(words.get(cell, cell)) for cell in line.split(",")] for line in text.splitlines()[1:]]


def wrong(case: Case, one: dict[str, Any], ranks: list[dict[str, Any]]) -> list[str]:
    """Return the differences from one device: where each has whole batches, every bit of the fit must be the same."""
    found = []
    for own in ranks:
        (fit, held_out), (fit_here, held_out_here) = parts(one), parts(own)
        found += differences(fit, fit_here, TOLERANCE[case.precision] if case.is_shared else 0.0)
        found += differences(held_out, held_out_here, TOLERANCE[case.precision])
    return found


def parts(own: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the results of the fit from the numbers of held-out points, which are sums over slices."""
    flat = {f"{part} {name}": value for part in ("log", "metrics", "fit") for name, value in own[part].items()}
    held_out = {name: value for name, value in flat.items() if "val_" in name or "test_" in name}
    rest = {name: value for name, value in flat.items() if name not in held_out}
    return rest | {"coefficients": own["coefficients"], "predictions": numbers(own["predictions"])}, held_out


def compare(folder: Path, cases: list[Case], sizes: tuple[int, ...] = SIZES) -> None:
    """Fit the cases on one device and on several, and fail with everything that differs."""
    found = fitted(folder, cases, (1, *sizes))
    places = [
        f"{size} devices, {case}: {place}"
        for size, (at, case) in product(sizes, enumerate(cases))
        for place in wrong(case, found[1][0][at], [rank[at] for rank in found[size]])
    ]
    assert places == []


def seen(world: int, seed: int, epoch: int) -> list[list[float]]:
    """Return the rows of each global batch of an epoch, put together from the slices of all devices."""
    x = torch.arange(13.0)
    loaders = [GlobalBatches(MemoryRows(Points(x, x)), 3, rank, world, lambda: seed + epoch) for rank in range(world)]
    return [torch.cat([part.x for part in parts]).tolist() for parts in zip(*loaders, strict=True)]


@pytest.mark.parametrize("sizes", [SIZES[1:2], pytest.param(SIZES[::2], marks=pytest.mark.slow)], ids=str)
def test_any_number_of_devices_gives_the_same(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    """A sample of tables, batches and optimizers: coefficients, losses, metrics and predictions are those of one."""
    draw = random.Random(0)
    compare(tmp_path, [draw.choice(kind) for kind in KINDS], sizes)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["exact", *OPTIMIZERS])
def test_any_number_of_devices_gives_the_same_always(tmp_path: Path, optimizer: str) -> None:
    """Every table of 1 to 13 rows, in every batch size, precision and way to make updates."""
    compare(
        tmp_path, [case for case in (*EXACT, *STEPS, *BLOCKS, *SWEEPS, *LOSSES, *SHARED) if case.optimizer == optimizer]
    )


@pytest.mark.parametrize("world", [2, 3, 4, 14])
def test_the_order_follows_from_seed_and_epoch(world: int) -> None:
    """Every number of devices sees the same batches in an epoch, and other ones in other epochs and for other seeds."""
    orders = {(seed, epoch): seen(1, seed, epoch) for seed in (0, 100) for epoch in range(3)}
    assert all(seen(world, *key) == order for key, order in orders.items())
    assert len({str(order) for order in orders.values()}) == len(orders)
