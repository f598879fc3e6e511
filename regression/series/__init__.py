"""Many small fits at once: a polynomial for each series of a table. May import what estimation may, and estimation.

- ``grouping``: the rows of a batch, those of a series side by side.
- ``room``: what is fitted, and the memory that is worked in.
- ``equations``: the normal equations of a series.
- ``solver``: from the sums of a series to its coefficients and errors.
- ``loops``: one series after the other: its range, its sums, its solution.
- ``fits``: the fits of batches, and of the series that several batches or processes share.
- ``result``: what the fits are, in numbers, in words, and as JSON.
- ``group_comparison``: tests whether groups have one curve, parallel curves, or different curves.
"""
