"""Arrays that in conditions behave as lists do."""

import copy
import operator
import pickle

import numpy as np
import pytest
import torch

import regression
from regression.common.number_arrays import Numbers

ONE = Numbers.of([1.0, 2.0])


def test_a_condition_compares_all() -> None:
    """``==`` holds where all numbers are equal, ``!=`` where any differs, as for lists; other lengths are different."""
    alike = ([1, 2], (1.0, 2.0), np.array([1, 2]), Numbers.of([1, 2]), torch.tensor([1.0, 2.0]), pytest.approx([1, 2]))
    for same, is_same in (
        *((same, True) for same in alike),
        *((other, False) for other in ([1, 3], [1], (), None, "ab")),
    ):
        assert bool(operator.eq(ONE, same)) is is_same
        assert bool(operator.ne(ONE, same)) is not is_same
    assert bool(ONE)
    assert not Numbers.of([])


def test_elsewhere_it_is_an_array() -> None:
    """Comparisons, functions and operators give numpy's arrays, whose truth stays numpy's."""
    assert (ONE == [1, 3]).tolist() == [True, False]
    assert (ONE != [1, 3]).tolist() == [False, True]
    for result in (ONE + 1, 2 * ONE, np.sqrt(ONE), ONE > 0, np.stack([ONE, ONE]) + 0):
        assert type(result) is np.ndarray
    with pytest.raises(ValueError, match="truth value"):
        bool(ONE > 0)
    assert isinstance(ONE.sum(), float)
    assert isinstance(ONE[0], float)
    assert isinstance(ONE, np.ndarray)
    np.testing.assert_array_equal(ONE, [1, 2])


def test_nobody_changes_it() -> None:
    """The numbers of a fit are read only, and stay what they are in copies and pickles."""
    with pytest.raises(ValueError, match="read-only"):
        ONE[0] = 3
    for other in (copy.deepcopy(ONE), pickle.loads(pickle.dumps(ONE))):
        assert other == ONE


def test_a_fit_has_such_numbers() -> None:
    """Scripts for the lists of the last release go on: ``fit.bse or …``, ``fit.params == …``, pairs of intervals."""
    fit = regression.fit([0.0, 1, 2, 3], [1.0, 3, 4, 7])
    assert (fit.bse or None) is fit.bse
    assert fit.params == regression.fit([3.0, 2, 1, 0], [7.0, 4, 3, 1]).params
    assert fit.conf_int is not None
    assert [pair[False] < pair[True] for pair in fit.conf_int] == [True, True]
    assert all(isinstance(value, Numbers) for value in (fit.params, fit.bse, fit.cov_params, fit.tvalues, fit.pvalues))
