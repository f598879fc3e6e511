"""Many gradient updates without a step of the Trainer in between: all on one batch, or each on its own batch.

On ten points an update takes a few microseconds of arithmetic, much less than a step of the Trainer. The model is
linear in its coefficients, so the gradient needs no autograd through the model: with the loss's slope
``d = ∂loss/∂f`` it is ``Aᵀ d``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from regression.common.collectives import all_sum
from regression.descent.losses import GlobalLoss

__all__ = ["Trace", "descend", "descend_each"]

NUMBERS_PER_CHUNK = 1 << 20  # size of the temporary matrix of predictions: 4 MiB of float32
MAX_UPDATES_PER_SPAN = 500  # some milliseconds on few points; longer spans keep more views alive and are slower


@dataclass(frozen=True)
class Trace:
    """Losses and coefficients of a block of n updates.

    Attributes:
        first: Index of the first update of the block, counted from 0 over the whole run.
        losses: Loss before each update, shape (n,).
        coefficients: Coefficients after each update, shape (n, K).
        final_loss: Loss after the last update; ``None`` where it was not evaluated.
    """

    first: int
    losses: Tensor
    coefficients: Tensor
    final_loss: Tensor | None = None

    @property
    def end(self) -> int:
        """Index of the first update after the block."""
        return self.first + len(self.losses)


@dataclass(frozen=True)
class Objective:
    """The loss of one global batch as a function of the coefficients.

    Attributes:
        design: This device's rows of the design matrix A, shape (n, K).
        target: This device's values y, shape (n,).
        rows: Number of rows N of the global batch.
        loss: The loss.
        total: Sums a tensor over the processes that share the batch; the identity where one holds all of it.
    """

    design: Tensor
    target: Tensor
    rows: int
    loss: GlobalLoss
    total: Callable[[Tensor], Tensor] = all_sum

    def losses(self, coefficients: Tensor) -> Tensor:
        """Return the losses, shape (U,), of U sets of coefficients, shape (U, K)."""
        per_chunk = max(1, NUMBERS_PER_CHUNK // max(1, len(self.target)))
        sums = []
        for chunk in torch.split(coefficients, per_chunk):
            predictions = chunk @ self.design.T  # (U, n)
            sums.append(self.loss.each(predictions, self.target.expand_as(predictions)).sum(dim=1))
        return self.loss.value(self.total(torch.cat(sums)), self.rows)

    def gradient(self) -> Callable[[Tensor], Tensor]:
        """Return the function from coefficients (K,) to the gradient of the loss (K,)."""
        transposed = self.design.T.contiguous()  # (K, n)
        residual = torch.empty_like(self.target)
        if self.loss.is_squared and not self.loss.is_norm:
            scaled = transposed * (2 / self.rows)

            def squared(coefficients: Tensor) -> Tensor:
                torch.addmv(self.target, self.design, coefficients, beta=-1, out=residual)
                return self.total(scaled @ residual)

            return squared

        if self.loss.is_norm:

            def norm(coefficients: Tensor) -> Tensor:
                torch.addmv(self.target, self.design, coefficients, beta=-1, out=residual)
                size = self.total(residual.dot(residual)).sqrt()
                gradient = self.total(transposed @ residual)
                return torch.where(size > 0, gradient / (size * self.rows), gradient)

            return norm

        def any_loss(coefficients: Tensor) -> Tensor:
            with torch.enable_grad():
                prediction = (self.design @ coefficients).requires_grad_()
                (slope,) = torch.autograd.grad(self.loss.sum(prediction, self.target), prediction)
            return self.total(transposed @ slope) / self.rows

        return any_loss


def descend(
    objective: Objective,
    parameter: nn.Parameter,
    optimizer: torch.optim.Optimizer,
    updates: int,
    scheduler: LRScheduler | ReduceLROnPlateau | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> tuple[Tensor, Tensor]:
    """Make a number of updates of one parameter vector on one batch.

    The steps are those of ``optimizer.step()`` after ``loss.backward()``, and a scheduler steps after each update.
    The updates are made in spans, and the losses of a span are computed by one product of matrices. A product of
    another shape may round differently, so the updates stop only after a whole span: a resumed run gives the same bits.

    Args:
        objective: The loss of the batch.
        parameter: The coefficients, shape (K,), changed in place.
        optimizer: An optimizer of this parameter alone.
        updates: Number of updates U, at least 1.
        scheduler: A learning rate scheduler of the optimizer.
        is_stopped: Called after each span; whether to skip the remaining updates, the same on all processes.

    Returns:
        The losses before each update made and after the last, shape (U + 1,), and the coefficients after each of
        them, shape (U, K).
    """
    states = parameter.new_empty(updates + 1, *parameter.shape).detach()
    states[0] = parameter.detach()
    span = max(1, min(MAX_UPDATES_PER_SPAN, NUMBERS_PER_CHUNK // objective.rows))  # the same on all processes
    is_plain = scheduler is None and _is_plain_sgd(optimizer)
    losses, made = [], 0
    with torch.no_grad():
        gradient = objective.gradient()
        while made < updates and not (made and is_stopped()):
            part = states[made : made + span + 1]
            if is_plain:
                _plain_sgd(gradient, parameter, optimizer, part)
            else:
                _any_optimizer(objective, gradient, parameter, optimizer, scheduler, part)
            losses.append(objective.losses(part[:-1]))
            made += len(part) - 1
        losses.append(objective.losses(states[made : made + 1]))
    return torch.cat(losses), states[1 : made + 1]


def descend_each(
    objectives: Iterable[Objective],
    parameter: nn.Parameter,
    optimizer: torch.optim.Optimizer,
    has_scheduler: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> tuple[Tensor, Tensor]:
    """Make one update of one parameter vector on each of several batches; see ``descend``.

    Args:
        objectives: The losses of the batches, at least one; the next one is taken only after the update on the last.
        parameter: The coefficients, shape (K,), changed in place.
        optimizer: An optimizer of this parameter alone.
        has_scheduler: Whether a learning rate scheduler steps later; torch warns unless ``optimizer.step`` was called.
        is_stopped: Called about every 2^20 rows; whether to skip the remaining batches, the same on all processes.

    Returns:
        The losses before each update made, shape (U,), and the coefficients after each of them, shape (U, K).
    """
    is_plain = not has_scheduler and _is_plain_sgd(optimizer)
    losses: list[Tensor] = []
    states = [parameter.detach().clone()]
    rows = 0
    with torch.no_grad():
        for objective in objectives:
            if rows >= NUMBERS_PER_CHUNK and is_stopped():
                break
            rows = rows % NUMBERS_PER_CHUNK + objective.rows
            losses.append(objective.losses(states[-1][None]))
            part = torch.stack([states[-1], states[-1]])
            if is_plain:
                _plain_sgd(objective.gradient(), parameter, optimizer, part)
            else:
                _any_optimizer(objective, objective.gradient(), parameter, optimizer, None, part)
            states.append(part[1])
    return torch.cat(losses), torch.stack(states[1:])


def _is_plain_sgd(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether a step is ``c ← c − lr ∇``, which is made here without the overhead of ``optimizer.step``."""
    group = optimizer.param_groups[0]
    return type(optimizer) is torch.optim.SGD and not any(
        group[option] for option in ("momentum", "weight_decay", "nesterov", "maximize")
    )


def _plain_sgd(
    gradient: Callable[[Tensor], Tensor], parameter: nn.Parameter, optimizer: torch.optim.Optimizer, states: Tensor
) -> None:
    step = -float(optimizer.param_groups[0]["lr"])
    for before, after in pairwise(states.unbind(0)):
        torch.add(before, gradient(before), alpha=step, out=after)
    parameter.copy_(states[-1])


def _any_optimizer(
    objective: Objective,
    gradient: Callable[[Tensor], Tensor],
    parameter: nn.Parameter,
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler | ReduceLROnPlateau | None,
    states: Tensor,
) -> None:
    needs_closure = isinstance(optimizer, torch.optim.LBFGS)  # torch's only optimizer that evaluates the loss itself

    def closure() -> Tensor:
        parameter.grad = gradient(parameter.detach())
        return objective.losses(parameter.detach()[None])[0]

    for before, after in pairwise(states):
        if needs_closure:
            optimizer.step(closure)  # type: ignore[arg-type]
        else:
            parameter.grad = gradient(parameter.detach())
            optimizer.step()
        after.copy_(parameter)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(objective.losses(before[None])[0])
        elif scheduler is not None:
            scheduler.step()
