"""The figures of a fit, in the only files that import matplotlib. May import common, curves and inference.

- ``figure``: the figure of a fit, and its files.
- ``panels``: the panels of curve and residuals.
- ``history``: the panel of losses, or of compared degrees.
- ``diagnostics``: four plots of the residuals.
- ``series``: the figure of many fits: small panels, or histograms of their numbers.
"""
