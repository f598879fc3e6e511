"""From sums over points to estimates and their errors. May import common, kernels, curves, moments and inference.

- ``solver``: the optimum of the sums, and its rank.
- ``within``: the constraints that an optimum meets.
- ``solution``: the optimum: coefficients, sums of squares, and how many digits of them are certain.
- ``certainty``: bounds on the errors of an optimum.
- ``refinement``: a second pass over the points, where too few digits are certain.
- ``standard_errors``: covariance and standard errors of the coefficients.
- ``optimum``: the optimum of the loss that is minimised, and the scale of its standard errors.
- ``robust``: the optimum of Huber's loss.
- ``residuals``: residuals of a curve, and the median of their sizes, by passes over the points.
- ``m_estimate``: M-estimates, which outliers move little or not at all, with an estimated scale.
- ``sandwich``: the covariance for unequal scatter, and for residuals that depend on each other.
- ``errors_in_x``: lines that are nearest to points with errors in x and y.
- ``convergence``: how far a descent still is from the optimum, and how long its steps may be.
- ``criteria``: AIC, AICc and BIC.
- ``degree_choice``: chooses the degree.
- ``cross_validation``: how well each degree fits points that were left out.
- ``residual_tests``: tests of the residuals of all rows.
- ``leave_one_out``: the same with a point left out at a time, by leverages.
- ``bands``: confidence and prediction bands.
"""
