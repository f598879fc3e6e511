"""From a path to batches. May import common, kernels, stores, readers and text.

- ``table``: the columns of all files.
- ``files``: which files a path names, and the table of formats: a new format is one row there, and a reader.
- ``delta``: the current files of a Delta table, listed by the library ``deltalake``.
- ``footers``: opens many files, and reads each of their Parquet footers once for all processes.
- ``stored_tables``: which objects in a store an address names, by the rules for folders.
- ``partitions``: columns whose values are in the names of folders.
- ``rows``: rows in blocks: read, scanned, split.
- ``shuffle``: orders drawn from a seed, of which any part can be computed without the rest.
- ``batches``: global batches, shared out over devices, and shares of all rows.
- ``data_modules``: ArrayDataModule and SineLineDataModule, and what all data modules share.
- ``table_module``: TableDataModule.
- ``plain_loaders``: converts the batches of a user's own ``DataLoader``, and reads it once as rows.
"""
