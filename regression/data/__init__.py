"""From files to batches. May import common; the readers know nothing of the rest.

- ``readers/``: from a path to columns of numbers.
- ``rows``: rows in blocks: read, scanned, split.
- ``shuffle``: orders from a seed, of which any part can be had alone.
- ``pieces``: rows by their position in an epoch.
- ``batches``: global batches, shared out over devices.
- ``data_modules``: SineLineDataModule and TableDataModule.
"""
