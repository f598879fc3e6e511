"""The LightningModules. May import all wings above: those of data, sums, fits and descent.

- ``base``: a curve as a LightningModule: losses of global batches, predictions.
- ``update_blocks``: blocks of updates on all rows, or on mini-batches.
- ``checks``: refuses options that cannot be combined, and ends a run whose loss is not finite.
- ``callbacks``: refuses callbacks that cannot work with a fit.
- ``lightning_counters``: sets the counters of Lightning's loops.
- ``resume``: the position of a run within an epoch, for checkpoints.
- ``engine``: the interface of the two engines.
- ``exact``: the exact engine: least squares from sums over the points.
- ``gradient``: the gradient engine: updates by an optimizer.
- ``passes``: further passes over the points of a run.
- ``trainer_parts``: the module and the data of a Trainer, with their types.
- ``regression``: Regression: Lightning's hooks, which call an engine.
- ``line_and_polynomial``: LineRegression and PolynomialRegression.
- ``series_regression``: SeriesRegression, for many series at once.
"""
