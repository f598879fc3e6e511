"""Polynomials as modules of torch, and exact changes between their bases. May import common.

- ``basis``: the table of bases, and the design matrix of points.
- ``polynomial``: Line and Polynomial: parameters and the curve.
- ``frame``: the coordinates in which the sums over points are taken.
- ``decimals``: numbers of 150 digits, and linear algebra with them.
- ``constraints``: curves with some of the powers, with given coefficients, or through given points.
- ``change_of_basis``: exact changes between the functions of a basis, those of the sums, and powers of x.
- ``chart``: exact changes between a model's coefficients, the curve in the basis of the sums, and powers of x.
- ``equation``: the curve's equation, as text and for LaTeX.
"""
