"""Objects in stores, such as S3, as files that are read by ranges of bytes. May import common.

- ``address``: what an address means; those that hold a password are refused.
- ``connection``: the file system of a store, pyarrow's own where there is one.
- ``by_fsspec``: that of other stores, and of web servers.
- ``ranges``: an object as a stream, of which each read is one request.
- ``stored_file``: one object, read by ranges, and how to tell that it is still the same.
- ``listing``: which objects an address means: one, those below a folder, or those that match a pattern.
- ``writing``: puts a complete file into a store.
- ``faults``: in one line what a store says that has failed.
"""
