"""From estimates to a fit, its report and its figure. May import common, curves, moments, inference and estimation.

- ``m_estimate``: curves that outliers do not move, with a scale of their own.
- ``least_squares``: the optimum of a run's points, and the fits that are compared with it.
- ``group_comparison``: whether groups have one curve, parallel curves, or curves of their own.
- ``sandwich``: errors for unequal scatter, and for residuals that follow each other.
- ``bands``: confidence and prediction bands.
- ``build``: from an optimum to a fit.
- ``result``: the numbers of a fit: coefficients, errors, bands, JSON.
- ``stored_fit``: what the numbers in that JSON must be.
- ``equation``: the curve's equation, as text and for LaTeX.
- ``tables``: the coefficients as columns, for Markdown and for LaTeX.
- ``report``: the report, in words.
- ``html``: a table with a small figure, for notebooks.
- ``fit``: Fit: the numbers with their report, tables and figures.
- ``notes``: the notes of a report, on what its reader should know.
- ``diagnostics``: the rows of a fit one by one, and tests of their residuals.
- ``figure``: the picture of a fit, and its files; matplotlib is in the files called figure alone.
- ``figure_panels``: its panels of curve and residuals.
- ``figure_history``: its panel of losses, or of degrees.
- ``figure_diagnostics``: four pictures of the residuals.
"""
