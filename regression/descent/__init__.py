"""Gradient descent without the Trainer: losses, and updates on tensors. May import common.

- ``losses``: a loss as a sum over a global batch.
- ``updates``: many updates in a row, with the losses and coefficients of each.
"""
