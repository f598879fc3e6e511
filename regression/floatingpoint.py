"""Sums of products over points in float64, rounded: fast, and good enough for well-conditioned points.

As without rounding, all functions T_0 … T_d, y are multiplied by T_0, T_d, y only. BLAS rounds the sum of a block of
1024 rows as it likes, and the blocks' sums are added without rounding. So each sum is off by at most about
``(1024 + 4 d²) 2^-53`` of the sum of the products' sizes, typically by 2^-52 of it, whatever the number of rows.
Here u maps the points' own range (or that of a sample, see ``resident``) to [−1, 1], not a larger one, and y is taken
less the end of its range that is nearest to zero. The same rows in the same batches give the same sums on one machine;
in another order or in other batches the last digits may differ. Torch and the standard library only.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from regression.fused import double_gram, takes_double
from regression.sums import LONGEST, Gram, added, chunk_rows, exact_sums, inverse_sigma, scaled, shared_out

if TYPE_CHECKING:
    from regression.moments import Frame

__all__ = ["about_zero", "float_gram"]

BLOCK = 1 << 10


def float_gram(x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame", degree: int) -> Gram:
    """Return the Gram matrix, rounded.

    Args:
        x: Points, shape (n,), inside the frame's range.
        y: Values, shape (n,).
        sigma: Standard deviations of y, shape (n,), or ``None``.
        frame: Coordinates.
        degree: Highest degree.
    """
    shift = frame.y_center * math.ldexp(1, -frame.y_exponent)
    if takes_double(x, y, sigma, frame, degree):
        gram, _ = double_gram(x, y, sigma, frame, degree)
    else:
        gram = chunked_gram(x, y, sigma, frame, degree, shift)
    return about_zero(gram, shift)


def chunked_gram(x: Tensor, y: Tensor, sigma: Tensor | None, frame: "Frame", degree: int, shift: float) -> Gram:
    """Return the Gram matrix about ``y = shift``, by operations on chunks of rows."""
    order = [*range(1, degree), 0, *([degree] if degree else [])]  # T_0, T_d, y side by side: the product's other side
    rows = chunk_rows(x, degree + 4)

    def work(parts: Iterator[slice]) -> list[int]:
        size = -(-min(rows, len(x)) // BLOCK) * BLOCK
        room = torch.ones(degree + 3, size, dtype=torch.float64, device=x.device)
        products = [room.new_zeros(0, degree + 2, 3 if degree else 2)]
        for part in parts:
            size = len(x[part])
            *functions, values, argument = room[:, :size].unbind()
            by_degree = [functions[order.index(k)] for k in range(degree + 1)]
            fill_chebyshev(x[part], frame, by_degree, argument, None if sigma is None else sigma[part])
            if frame.y_exponent:
                scaled(y[part], frame.y_exponent, values).sub_(shift)
            else:
                torch.sub(y[part].double(), shift, out=values)
            if sigma is not None:
                values.mul_(by_degree[0])
            used = room[:-1, : -(-size // BLOCK) * BLOCK]
            used[:, size:].zero_()  # only the last chunk has such rows, which need not come last
            blocks = used.view(degree + 2, -1, BLOCK).transpose(0, 1)  # (blocks, d + 2, 1024)
            products.append(torch.bmm(blocks, blocks[:, -3 if degree else -2 :].mT))
            used[:, size:].fill_(1)  # T_0 for the next one
        parted = torch.split(torch.cat(products).flatten(1).T, LONGEST, dim=1)
        return added([exact_sums(part) for part in parted])

    return assembled(added(shared_out(work, x, rows)), order)


def fill_chebyshev(x: Tensor, frame: "Frame", out: list[Tensor], u: Tensor, sigma: Tensor | None) -> None:
    """Write T_0 … T_d at u, each over sigma, up to their signs, by one operation each; without sigma T_0 is there.

    ``a + 2 u b`` and ``a - 2 u b`` are the next polynomial or its opposite; the signs repeat: + + − − + + ….
    """
    if sigma is None and len(out) > 1:
        u = out[1]
    torch.sub(x.double(), frame.center, out=u).div_(frame.half_width)
    if sigma is not None:
        out[0].copy_(inverse_sigma(sigma, frame))
        if len(out) > 1:
            torch.mul(u, out[0], out=out[1])
    for k in range(2, len(out)):
        torch.addcmul(out[k - 2], u, out[k - 1], value=-2 * sign(k - 1) * sign(k - 2), out=out[k])


def sign(k: int) -> int:
    """Return the sign with which T_k is written."""
    return -1 if k & 2 else 1


def assembled(sums: list[int], order: list[int]) -> Gram:
    """Return the Gram matrix from the sums of products, d + 2 rows of three, or two for degree 0."""
    degree = len(order) - 1
    width = len(sums) // (degree + 2)
    by_row = {k: sums[width * index :][:width] for index, k in enumerate([*order, degree + 1])}
    gram = []
    for k in range(degree + 2):
        first, last, value = by_row[k][0], by_row[k][-2], by_row[k][-1]
        own = 1 if k > degree else sign(k)
        gram.append([own * first, own * sign(degree) * last, own * value])
    return gram


def about_zero(gram: Gram, shift: float) -> Gram:
    """Return the Gram matrix of ``y + shift`` from that of y, exactly."""
    offset = Fraction(shift)
    *terms, (first, last, square) = ([row[0], row[1], row[2] + int(offset * row[0])] for row in gram)
    first, last = first + int(offset * terms[0][0]), last + int(offset * terms[0][1])
    return [*terms, [first, last, square + int(offset * terms[0][2])]]
