"""Many small fits at once: a polynomial for each series of a table. May import what estimation may, and estimation.

- ``grouping``: sorts the rows of a batch by series.
- ``workspace``: the model that is fitted, and the memory that a thread works in.
- ``equations``: the normal equations of a series.
- ``solver``: from the sums of a series to its coefficients and errors.
- ``loops``: one series after the other: its range, its sums, its solution.
- ``fits``: the fits of batches, and of the series that several batches or processes share.
- ``result``: SeriesFit: the fits as numbers, as a report, and as JSON.
- ``group_comparison``: tests whether groups have one curve, parallel curves, or different curves.
"""
