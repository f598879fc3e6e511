"""From sums over points to a fit, its words and its picture. May import common, curves and moments.

- ``solver``: the optimum of the sums, its covariance and its rank.
- ``refinement``: a second pass over the points, and which digits hold.
- ``degree_choice``: the degree to choose.
- ``convergence``: step sizes for gradient descent, and how far the optimum still is.
- ``least_squares``: the optimum of a run's points, and the fit that is measured against it.
- ``bands``: the curve and its errors at any x.
- ``build``: from an optimum to a fit.
- ``result``: Fit: coefficients, errors, bands, the report, JSON.
- ``notes``: what its reader should know, in words.
- ``value_and_error``: a number rounded to what its error says of it.
- ``goodness``: how well a fit describes other points.
- ``figure``: the picture of a fit, the only file with matplotlib.
"""
