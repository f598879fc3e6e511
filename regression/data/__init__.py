"""From files to batches. May import common; the readers know nothing of the rest.

- ``readers/``: from a path to columns of numbers.
- ``rows``: rows in blocks: read, scanned, split.
- ``shuffle``: orders from a seed, of which any part can be had alone.
- ``batches``: global batches, shared out over devices, and shares of all rows.
- ``data_modules``: ArrayDataModule, SineLineDataModule and TableDataModule.
- ``plain_loaders``: a ``DataLoader`` of a user's own, batch by batch and as rows.
"""
