"""From one file to columns of numbers, with numpy, pyarrow and polars. May import common.

- ``dialect``: how text may be written, as options tell it.
- ``layout``: where the rows of a text begin, what its columns are called, and what parts its cells.
- ``lines``: its lines, and the rows without comments and blanks.
- ``cells``: its cells as numbers where they are not written plainly, and the words for those that are none.
- ``csv_text``: CSV text.
- ``large_csv``: CSV text of numbers alone, where it is large.
- ``parquet``: Parquet files.
- ``parquet_statistics``: what they state of their numbers, checked while these are read.
- ``arrow_and_numpy``: Arrow, NPY and NPZ files, and record batches as numbers.
- ``arrow_stream``: Arrow streams.
- ``columns``: what a reader returns: the columns of one file, in parts.
- ``series_names``: names of series, as numbers.
- ``source``: a file that must stay the same while it is read.
"""
