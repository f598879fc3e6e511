"""From a path to columns of numbers, with numpy, pyarrow and polars. May import common.

- ``files``: a path: which files it names, and of which kind each is.
- ``columns``: the columns of one file, in parts.
- ``csv_text``: CSV text.
- ``large_csv``: CSV text of numbers alone, where it is large.
- ``arrow_and_numpy``: Arrow, NPY and NPZ files.
- ``parquet``: Parquet files.
- ``series_names``: names of series, as numbers.
- ``table``: the columns of all files.
"""
