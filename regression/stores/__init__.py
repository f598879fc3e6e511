"""Objects in stores, such as S3, as files that are read by ranges of bytes. May import common.

- ``address``: the parts of an address; addresses that hold a password are refused.
- ``connection``: the file system of a store, pyarrow's own if it has one.
- ``by_fsspec``: the file systems of other stores, and of web servers, by fsspec.
- ``ranges``: an object as a stream, of which each read is one request.
- ``stored_file``: one object, read by ranges, and what identifies its version.
- ``listing``: the objects in a folder, or those that match a pattern.
- ``writing``: copies a complete file into a store.
- ``faults``: the errors of stores as messages of one line, and how long a store is waited for.
"""
