"""What a scientist asks of a fitted curve: tests, and answers with their errors. May import common and curves.

- ``distributions``: quantiles and tail probabilities.
- ``exact_curve``: a curve and its errors as decimal numbers: values, slopes, areas.
- ``real_roots``: where a series of Chebyshev polynomials is 0.
- ``places``: where a curve reaches a level, and where it turns.
- ``inverse``: the x of an observed y, by Fieller's method.
- ``detection``: limits of detection and quantification.
- ``hypotheses``: t, F, χ² and Wald tests.
- ``answers``: tests and answers as methods of a fit.
- ``row_diagnostics``: residual, leverage and influence of each row.
- ``robust_weights``: the weights of M-estimates.
- ``fitted``: what figures and diagnostics need of a fit.
"""
