"""Placeholder until the kernels stand."""

from typing import Any


def moments(*a: Any) -> Any:
    raise NotImplementedError


def residuals(*a: Any) -> Any:
    raise NotImplementedError
