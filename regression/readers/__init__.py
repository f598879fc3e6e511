"""From one file, other than text, to columns of numbers. May import common and stores.

- ``standard_input``: standard input as a file.
- ``dialect``: the options that say how text is written.
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
