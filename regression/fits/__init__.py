"""From estimates to a fit, with its words. May import what figures and estimation may, and these.

- ``m_estimate``: M-estimates, which outliers move little or not at all, with an estimated scale.
- ``least_squares``: the optimum of a run's points, and the fits that are compared with it.
- ``errors_in_x``: lines fitted to points with errors in x and y.
- ``sandwich``: standard errors for unequal scatter, and for residuals that depend on each other.
- ``build``: from an optimum to a fit.
- ``result``: the numbers of a fit: coefficients, errors, bands, JSON.
- ``stored_fit``: what the numbers in that JSON must be.
- ``tables``: the coefficients as columns, for Markdown and for LaTeX.
- ``report``: the report, in words.
- ``html``: a table with a small figure, for notebooks.
- ``diagnostics``: the rows of a fit, and the tests of their residuals.
- ``fit``: Fit: the numbers with their report, tables and figures.
- ``notes``: the notes of a report, on what its reader should know.
"""
