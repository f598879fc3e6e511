"""From estimates to a fit with its report. May import what figures and estimation may, and these.

- ``least_squares``: the optimum of a run's points, and the fits that are compared with it.
- ``estimator``: estimates that take further passes: M-estimates, other errors, lines with errors in x.
- ``build``: from an optimum to a fit.
- ``result``: the numbers of a fit: coefficients, errors, bands, JSON.
- ``fit_record``: the fit that belongs to a module's weights.
- ``stored_fit``: checks the numbers of a stored fit.
- ``tables``: the coefficients as columns, for Markdown and for LaTeX.
- ``report``: the report as text.
- ``html``: a table with a small figure, for notebooks.
- ``diagnostics``: the rows of a fit, and the tests of their residuals.
- ``fit``: Fit: the numbers with their report, tables and figures.
- ``notes``: the notes of a fit, which its report shows.
"""
