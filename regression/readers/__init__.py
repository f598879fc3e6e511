"""From one file to columns of numbers, with numpy and pyarrow; of text, what is told of it. May import common.

- ``dialect``: how text may be written, as options tell it.
- ``parquet``: Parquet files.
- ``parquet_statistics``: what they state of their numbers, checked while these are read.
- ``arrow_and_numpy``: Arrow, NPY and NPZ files, and record batches as numbers.
- ``arrow_stream``: Arrow streams.
- ``columns``: what a reader returns: the columns of one file, in parts.
- ``series_names``: names of series, as numbers.
- ``source``: a file that must stay the same while it is read.
"""
