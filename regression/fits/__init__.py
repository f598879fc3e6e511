"""From estimates to a fit, its report and its figure. May import common, curves, moments, inference and estimation.

- ``m_estimate``: M-estimates, which outliers move little or not at all, with an estimated scale.
- ``least_squares``: the optimum of a run's points, and the fits that are compared with it.
- ``group_comparison``: tests whether groups have one curve, parallel curves, or different curves.
- ``errors_in_x``: lines fitted to points with errors in x and y.
- ``sandwich``: standard errors for unequal scatter, and for residuals that depend on each other.
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
- ``diagnostics``: residual, leverage and influence of each row, and tests of the residuals.
- ``figure``: the figure of a fit, and its files; only the files named figure import matplotlib.
- ``figure_panels``: the panels of curve and residuals.
- ``figure_series``: the figure of many fits: small panels, or histograms of their numbers.
- ``figure_history``: the panel of losses, or of degrees.
- ``figure_diagnostics``: four plots of the residuals.
"""
