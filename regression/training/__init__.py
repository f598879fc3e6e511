"""The LightningModules. May import common, curves, moments, inference, fits, series and data.

- ``base``: a curve as a LightningModule: losses of global batches, predictions.
- ``losses``: a loss as a sum over a global batch.
- ``descent``: many updates on one batch.
- ``update_blocks``: many updates before the Trainer's turn.
- ``checks``: what a run may not combine, and losses that end it.
- ``callbacks``: callbacks of a user's that a fit could not serve.
- ``lightning_counters``: the counters of Lightning's loops.
- ``resume``: the state of a run within its epochs.
- ``engine``: what the two engines have in common.
- ``exact``: least squares from sums over the points.
- ``gradient``: updates by an optimizer.
- ``fit_record``: the fit that belongs to a module's weights.
- ``trainer_parts``: the module and the data of a Trainer, for callbacks.
- ``regression``: Regression: the hooks of a fit, which call an engine.
- ``line_and_polynomial``: LineRegression and PolynomialRegression.
- ``series_regression``: SeriesRegression, for many series at once.
"""
