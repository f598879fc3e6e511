"""Many small fits at once: a polynomial for each series of a table. May import common, curves and moments.

- ``grouping``: the rows of a batch, those of a series side by side.
- ``room``: what is fitted, and the memory that is worked in.
- ``lanes``: double-double arithmetic on many series side by side, which compilers turn into vector instructions.
- ``lane_rows``: the rows of series side by side, their ranges, and coordinates from these.
- ``sums``: sums of products over the points.
- ``solver``: from the sums of some series to their coefficients and errors.
- ``passes``: these steps one after the other, for series whose rows are at hand, and apart for others.
- ``fits``: the fits of batches, and of the series that several batches or processes share.
- ``result``: what the fits are, in numbers, in words, and as JSON.
"""
