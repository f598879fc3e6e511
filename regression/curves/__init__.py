"""Polynomials and the coordinates in which they are fitted; may import common.

- ``frame``: the coordinates of the sums over points.
"""
