"""From files to batches. May import common; the readers know nothing of the rest.

- ``readers/``: from a path to columns of numbers.
- ``rows``: rows in blocks: read, scanned, split.
- ``shuffle``: orders from a seed, of which any part can be had alone.
- ``batches``: global batches, shared out over devices, and shares of all rows.
- ``data_modules``: SineLineDataModule and TableDataModule.
"""
