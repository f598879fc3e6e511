"""From text to columns of numbers, with pyarrow and polars. May import common and readers.

- ``layout``: where the rows of a text begin, the names of its columns, and the delimiter.
- ``lines``: its lines one by one, and its rows without comments and blank lines.
- ``cells``: cells as numbers in other notations, and the messages for cells that are no numbers.
- ``instants``: cells as instants, written as in ISO 8601.
- ``csv_text``: CSV text, by a strict parser.
- ``large_csv``: large CSV text of numbers alone, by a faster parser.
"""
