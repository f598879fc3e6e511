"""From text to columns of numbers, with pyarrow and polars. May import common and readers.

- ``layout``: where the rows of a text begin, what its columns are called, and what parts its cells.
- ``lines``: its lines, and the rows without comments and blanks.
- ``cells``: its cells as numbers where they are not written plainly, and the words for those that are none.
- ``instants``: its cells as instants, where they are written as ISO 8601 has them.
- ``csv_text``: CSV text.
- ``large_csv``: CSV text of numbers alone, where it is large.
"""
