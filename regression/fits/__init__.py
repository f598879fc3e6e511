"""From sums over points to a fit, its words and its picture. May import common, curves, moments and inference.

- ``solver``: the optimum of the sums, and its rank.
- ``within``: the constraints that an optimum keeps.
- ``solution``: what is known of it: coefficients, sums of squares, and which digits hold.
- ``refinement``: a second pass over the points, where digits do not hold.
- ``standard_errors``: covariance and standard errors of the coefficients.
- ``optimum``: the optimum of the loss that is minimised, and what its errors go by.
- ``robust``: that of Huber's loss.
- ``convergence``: how far a descent still is from the optimum, and how long its steps may be.
- ``criteria``: AIC, AICc and BIC.
- ``degree_choice``: the degree to choose.
- ``cross_validation``: how well each degree fits points that were left out.
- ``least_squares``: the optimum of a run's points, and the fit that is measured against it.
- ``group_comparison``: whether groups have one curve, parallel curves, or curves of their own.
- ``sandwich``: errors for unequal scatter, and for residuals that follow each other.
- ``bands``: confidence and prediction bands.
- ``build``: from an optimum to a fit.
- ``result``: the numbers of a fit: coefficients, errors, bands, JSON.
- ``stored_fit``: what the numbers in that JSON must be.
- ``equation``: the curve's equation, as text and for LaTeX.
- ``tables``: the coefficients as columns, for Markdown and for LaTeX.
- ``report``: the report, in words.
- ``html``: a table with a small picture, for notebooks.
- ``fit``: Fit: the numbers with words and pictures.
- ``notes``: what its reader should know, in words.
- ``figure``: the picture of a fit, the only file with matplotlib.
"""
