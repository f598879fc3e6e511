"""From one binary file to columns of numbers, and what the readers of text need too. May import common and stores.

- ``standard_input``: standard input as a file.
- ``dialect``: the options for text files.
- ``parquet``: Parquet files.
- ``parquet_statistics``: smallest and largest numbers in their footers, checked while rows are read.
- ``arrow_files``: Arrow files, and record batches as numbers.
- ``numpy_files``: NPY and NPZ files.
- ``arrow_stream``: Arrow streams.
- ``columns``: what a reader returns: the columns of one file, in parts.
- ``clock``: the times of a table as numbers, on one scale for each column in all files.
- ``series_names``: names of series as numbers.
- ``source``: a file, on this machine or in a store, that must not change while it is read.
"""
