"""Polynomials as modules of torch, and exact changes between their bases. May import common.

- ``basis``: the table of bases, and the design matrix of points.
- ``polynomial``: Line and Polynomial: parameters and the curve.
- ``frame``: the coordinates of the sums over points.
- ``decimals``: numbers of 150 digits, and linear algebra with them.
- ``constraints``: the curves with some powers only, given coefficients, or through given points.
- ``change_of_basis``: between a model's basis, that of the sums, and powers of x.
"""
