"""From sums and passes over points to an optimum. May import common, kernels, curves, moments, inference, solutions.

- ``solver``: the optimum of the sums, and its rank.
- ``refinement``: a second pass over the points, where too few digits are certain.
- ``robust``: the optimum of Huber's loss.
- ``residuals``: residuals of a curve, and the median of their sizes, by passes over the points.
- ``m_estimate``: M-estimates with an estimated scale, for points with outliers.
- ``sandwich``: the covariance for unequal scatter, and for residuals that depend on each other.
- ``errors_in_x``: lines through points with errors in x and y.
- ``degree_choice``: chooses the degree.
- ``cross_validation``: how well each degree fits points that were left out, in folds.
- ``residual_tests``: tests of the residuals of all rows.
- ``leave_one_out``: how well each degree fits points that were left out, one at a time, by leverages.
- ``bands``: confidence and prediction bands.
"""
