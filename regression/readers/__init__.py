"""From one file to columns of numbers; of text, what is told of it. May import common and stores.

- ``dialect``: how text may be written, as options tell it.
- ``parquet``: Parquet files.
- ``parquet_statistics``: what they state of their numbers, checked while these are read.
- ``arrow_files``: Arrow files, and record batches as numbers.
- ``numpy_files``: NPY and NPZ files.
- ``arrow_stream``: Arrow streams.
- ``columns``: what a reader returns: the columns of one file, in parts.
- ``clock``: the times of a table as numbers: of one scale for a column, whatever files it is in.
- ``series_names``: names of series, as numbers.
- ``source``: a file, on this machine or in a store, that must stay the same while it is read.
"""
