"""From a path to batches. May import common, kernels, stores, readers and text.

- ``table``: the columns of all files.
- ``files``: which files a path names, and the table of formats: another format is a row there, and its reader.
- ``delta``: the files of a Delta table as it is now, by the library ``deltalake``.
- ``footers``: what is known of many files before they are read, and their footers, each read once for all processes.
- ``stored_tables``: which objects in a store an address means, by the rules for folders.
- ``partitions``: columns whose values stand in the names of folders.
- ``rows``: rows in blocks: read, scanned, split.
- ``shuffle``: orders drawn from a seed, of which any part can be computed without the rest.
- ``batches``: global batches, shared out over devices, and shares of all rows.
- ``data_modules``: ArrayDataModule and SineLineDataModule, and what all data modules share.
- ``table_module``: TableDataModule.
- ``plain_loaders``: converts the batches of a user's own ``DataLoader``, and reads it once as rows.
"""
