"""A least-squares optimum as exact numbers, and what follows from them alone. May import common and curves.

- ``solution``: the optimum: coefficients, sums of squares, and how many digits of them are certain.
- ``certainty``: bounds on the errors of an optimum.
- ``within``: the constraints that an optimum meets, and its sums of squares.
- ``standard_errors``: covariance and standard errors of the coefficients.
- ``criteria``: AIC, AICc and BIC.
- ``optimum``: the optimum of the loss that is minimised, and the scale of its standard errors.
- ``convergence``: how far a descent still is from the optimum, and how long its steps may be.
"""
