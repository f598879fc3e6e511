"""The curves as plain modules."""

import pytest
import torch

from regression import Line, Polynomial, UsageError


def test_models_start_from_zeros() -> None:
    """A line has two coefficients and a polynomial of degree 4 has five, all zero at first."""
    assert Line().coefficients.tolist() == [0, 0]
    assert Polynomial(degree=4).coefficients.tolist() == [0] * 5
    assert Line().names == ("intercept", "slope")
    assert Polynomial(degree=2).names == ("c0", "c1", "c2")


def test_forward_is_the_formula() -> None:
    """The forward pass is intercept + slope x, and c0 + c1 x + c2 x²."""
    x = torch.tensor([-1.0, 0.0, 2.0])
    line, parabola = Line(), Polynomial(degree=2)
    with torch.no_grad():
        line.coefficients.copy_(torch.tensor([1.0, 3.0]))
        parabola.coefficients.copy_(torch.tensor([1.0, 3.0, 0.5]))
    assert line(x).tolist() == [-2, 1, 7]
    assert (line.intercept.item(), line.slope.item()) == (1, 3)
    assert parabola(x).tolist() == [-1.5, 1, 9]


def test_degree_0_is_a_constant() -> None:
    """A polynomial of degree 0 has one coefficient and ignores x."""
    constant = Polynomial(degree=0)
    assert constant(torch.tensor([1.0, 5.0])).tolist() == [0, 0]


@pytest.mark.parametrize("degree", [-1, 2.5, True, "five", 61])
def test_wrong_degrees_are_refused(degree: object) -> None:
    """A degree that is not a whole number from 0 to 60 is refused."""
    with pytest.raises(UsageError, match="degree must be a whole number from 0 to 60"):
        Polynomial(degree=degree)  # type: ignore[arg-type]
