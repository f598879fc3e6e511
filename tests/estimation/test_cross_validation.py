"""k-fold cross-validation, against statsmodels and brute force."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from statsmodels.stats.outliers_influence import OLSInfluence
from torch import Tensor

import regression
from regression.common.points import Points
from regression.estimation.cross_validation import deal, fold_of, squares_left_out
from regression.moments.moments import Moments
from regression.moments.scan import Range, Sums
from tests.support.command import Command, config, run_process

DEGREE = 4


def noisy(rows: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.uniform(-3, 5, rows)
    return x, 1 - 2 * x + 0.5 * x**3 + random.normal(0, 1.5, rows), random.uniform(0.5, 2, rows)


def columns(*values: Any) -> Tensor:
    return torch.stack([torch.as_tensor(np.asarray(value, dtype=np.float64)) for value in values], dim=1)


def brute_force(folds: list[Tensor], degree: int) -> float:
    """Return ``Σ w r²`` of points left out, by a weighted fit of statsmodels without each of the folds."""
    total = 0.0
    for k, fold in enumerate(folds):
        x, y, sigma = torch.cat(folds[:k] + folds[k + 1 :]).T.numpy()
        rest = sm.WLS(y, np.polynomial.chebyshev.chebvander(x / 5, degree), weights=sigma**-2).fit()
        x, y, sigma = fold.T.numpy()
        total += (((y - rest.predict(np.polynomial.chebyshev.chebvander(x / 5, degree))) / sigma) ** 2).sum()
    return total


@pytest.mark.parametrize("folds", [2, 3, 7, 30])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_is_that_of_fits_without_each_fold(folds: int, weighted: bool) -> None:
    """Each degree's cv is the mean square over points left out of fits made without their folds, one by one."""
    x, y, sigma = noisy(30)
    sigma = sigma if weighted else np.ones(30)
    fit = regression.fit(x, y, "auto", sigma, max_degree=DEGREE, criterion="cv", folds=folds)
    dealt = list(deal(columns(x, y, sigma), folds))
    for row in fit.degree_table:
        assert row["cv"] == pytest.approx(brute_force(dealt, int(row["degree"] or 0)) / 30, rel=1e-9)


def test_as_many_folds_as_points_leave_one_out() -> None:
    """With a fold for each point cv is the mean of statsmodels' squared PRESS residuals."""
    x, y, _ = noisy(25)
    fit = regression.fit(x, y, "auto", max_degree=5, criterion="cv", folds=25)
    assert fit.degree == 3
    for row in fit.degree_table:
        design = np.polynomial.chebyshev.chebvander(x / 5, int(row["degree"] or 0))
        press = OLSInfluence(sm.OLS(y, design).fit()).resid_press
        assert row["cv"] == pytest.approx((press**2).mean(), rel=1e-9)


SETS = {
    "0 to 29": np.arange(30.0),
    "0 to 9": np.arange(10.0),
    "even steps": np.linspace(0, 1, 50),
    "tenths": 0.1 * np.arange(13),
    "random": np.random.default_rng(0).normal(size=10),
    "all equal": np.full(11, 2.5),
    "two values": np.repeat([1.0, 2.0], 8),
}


@pytest.mark.parametrize("name", list(SETS))
@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_folds_have_equal_sizes(name: str, folds: int) -> None:
    """Sizes of folds differ by at most one, and each row is in one fold."""
    rows = columns(SETS[name], 3 * SETS[name] + 1, np.ones(len(SETS[name])))
    dealt = list(deal(rows, folds))
    sizes = [len(fold) for fold in dealt]
    assert max(sizes) - min(sizes) <= 1
    assert sorted(torch.cat(dealt).tolist()) == sorted(rows.tolist())


def test_equal_x_are_ranked_by_y_and_equal_points_by_sigma() -> None:
    """The folds of distinct x are the same whatever y is; where x is equal y decides, and then sigma."""
    random = np.random.default_rng(3)
    x, ones = random.normal(size=40), np.ones(40)
    by_x = [set(fold[:, 0].tolist()) for fold in deal(columns(x, random.normal(size=40), random.normal(size=40)), 4)]
    assert by_x == [set(fold[:, 0].tolist()) for fold in deal(columns(x, random.normal(size=40), ones), 4)]
    assert by_x == [set(fold[:, 1].tolist()) for fold in deal(columns(ones, x, random.normal(size=40)), 4)]
    assert by_x == [set(fold[:, 2].tolist()) for fold in deal(columns(ones, ones, x), 4)]


def test_folds_look_random() -> None:
    """Each fold has about its share of each part of the range, and neighbours share a fold as often as by chance."""
    rows = columns(np.arange(3000.0), np.zeros(3000), np.ones(3000))
    fold = torch.empty(3000, dtype=torch.long)
    for k, part in enumerate(deal(rows, 5)):
        fold[part[:, 0].long()] = k
    for part in fold.split(300):
        assert 40 <= min(torch.bincount(part, minlength=5).tolist()) <= max(torch.bincount(part).tolist()) <= 80
    for step in (1, 2, 5):
        assert (fold[step:] == fold[:-step]).double().mean().item() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("change", ["m to mm", "times 1024", "y times 1e-9", "y plus 100", "backwards", "shuffled"])
def test_neither_unit_nor_order_changes_the_choice(change: str) -> None:
    """The degree of 20 noisy points, in 40 sets, is the same in any unit and any order of the rows."""
    changed = {
        "m to mm": lambda x, y: (1000 * x, y),
        "times 1024": lambda x, y: (1024 * x, y),
        "y times 1e-9": lambda x, y: (x, 1e-9 * y),
        "y plus 100": lambda x, y: (x, y + 100),
        "backwards": lambda x, y: (x[::-1], y[::-1]),
        "shuffled": lambda x, y: (np.roll(x, 7), np.roll(y, 7)),
    }[change]
    random = np.random.default_rng(0)
    for _ in range(40):
        x = random.uniform(0, 1, 20)
        y = 1 + 2 * x - x**2 + 0.3 * random.normal(size=20)
        before, after = (
            regression.fit(*points, "auto", max_degree=4, criterion="cv") for points in ((x, y), changed(x, y))
        )
        assert before.degree == after.degree


def test_a_degree_that_a_fold_leaves_undetermined_is_not_compared() -> None:
    """A degree for which points are too few without some fold is left out of the choice, and a note says so."""
    x = np.repeat([0.0, 1.0, 2.0], 4)
    x = np.append(x, 3.0)
    y = (x - 1) ** 2 + 0.1 * np.sin(np.arange(13))
    fit = regression.fit(x, y, "auto", max_degree=5, criterion="cv", folds=13)
    assert [row["degree"] for row in fit.degree_table] == [0, 1, 2]
    assert fit.degree == 2
    words = "degrees above 2 were not compared: the points outside of some fold do not determine them"
    assert words in fit.notes
    assert words in str(fit)
    few = regression.fit(np.arange(7.0), [0.0, 1, 4, 9.1, 16, 25.2, 36], "auto", criterion="cv", folds=2)
    assert max(row["degree"] or 0 for row in few.degree_table) == 2  # without a fold of 4 there are 3 points
    assert any(note.startswith("degrees above 2") for note in few.notes)
    assert not any("not compared" in note for note in regression.fit(x, y, "auto", max_degree=2, criterion="cv").notes)


def moments_of(points: Points) -> Moments:
    found = Range()
    found.add(points)
    sums = Sums(found.frame(), DEGREE)
    sums.add(points)
    return sums.moments()


def hashed(rows: int, scale: float = 1.0, step: float = 0.0) -> list[float]:
    """Return the squares left out of many points whose folds follow from their numbers, read in three parts."""
    x, y, _ = noisy(rows)
    x, y = (x, y) if not step else (np.round(x / step) * step, np.round(y / step) * step)
    points = Points(torch.from_numpy(x * scale), torch.from_numpy(y))

    def scan(work: Any) -> None:
        for part in torch.arange(rows).tensor_split(3):
            work(points.chosen(part))

    left = squares_left_out(moments_of(points), 4, torch.device("cpu"), scan, most_ranked_rows=rows - 1)
    return list(map(float, left))


def test_many_rows_are_dealt_out_by_their_numbers() -> None:
    """Of many rows the folds follow from x and y: they have about equal sizes, and are the same in any unit."""
    x, y, _ = noisy(6000)
    points = Points(torch.from_numpy(x), torch.from_numpy(y))
    frame = moments_of(points).frame
    fold = fold_of(points, frame, float(np.sqrt(np.mean((y - frame.y_center) ** 2))), 4)
    sizes = torch.bincount(fold, minlength=4).tolist()
    assert sum(sizes) == 6000
    assert max(abs(size - 1500) for size in sizes) < 5 * np.sqrt(1500)
    dealt = [columns(x, y, np.ones(6000))[fold == k] for k in range(4)]
    found = hashed(6000)
    for degree in range(DEGREE + 1):
        assert found[degree] == pytest.approx(brute_force(dealt, degree), rel=1e-9)
    assert hashed(6000, scale=1000) == pytest.approx(found, rel=1e-12)
    assert hashed(6000, scale=1024) == pytest.approx(found, rel=1e-14)


@pytest.mark.parametrize("slope", [-1.0, 0.0, 1.0])
def test_points_on_a_line_are_dealt_out_evenly(slope: float) -> None:
    """Folds follow from both numbers of a point, not from their sum or difference."""
    x = torch.linspace(-1, 1, 4000, dtype=torch.float64)
    points = Points(x, slope * x)
    sizes = torch.bincount(fold_of(points, moments_of(points).frame, 1.0, 4), minlength=4)
    assert 900 < int(sizes.min()) <= int(sizes.max()) < 1100


def test_many_equal_rows_cannot_be_dealt_out_by_their_numbers() -> None:
    """Equal points would share a fold: where that makes folds uneven, the criterion is refused."""
    with pytest.raises(regression.UsageError, match=r"cannot deal 6,000 rows out evenly, as many of them are equal"):
        hashed(6000, step=2.0)


def test_two_processes_deal_as_one(tmp_path: Path, command: Command) -> None:
    """Streamed over two processes, folds and choice are those of ``regression.fit``, bit for bit."""
    x, y, sigma = noisy(101)
    np.save(tmp_path / "points.npy", np.stack([x, y, sigma], axis=1))
    fit = regression.fit(x, y, "auto", sigma, max_degree=5, criterion="cv", folds=4)
    arguments = [
        "fit", "-c", config("polynomial_exact"), "--model.degree", "auto", "--model.max_degree", "5",
        "--model.criterion", "cv", "--model.folds", "4", "--data", "TableDataModule", "--data.path",
        str(tmp_path / "points.npy"), "--data.sigma", "3", "--data.in_memory_rows", "0", "--trainer.accelerator", "cpu",
    ]  # fmt: skip
    one = command(*arguments)
    two = run_process(tmp_path, *arguments, "--trainer.devices", "2")
    for done in (one, two):
        assert done.code == 0, done.err
        assert done.fit["params"] == list(fit.params)
        assert [row["cv"] for row in done.fit["degree_table"]] == [row["cv"] for row in fit.degree_table]
        assert done.fit["criterion"] == "cv"
