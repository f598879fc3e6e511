"""Loops over numbers that are compiled once for a processor, and the arithmetic that they share. Imports no other wing.

- ``compiled``: plain Python loops, compiled by numba where there is much to do.
- ``compilation``: compiles them with numba, and keeps the result in a folder that processes share.
- ``folder_lock``: a lock that lets one process at a time work in a folder.
- ``double_double``: arithmetic on numbers of 106 bits, each held as two float64 numbers.
- ``exact_sums``: sums of float64 numbers as whole numbers.
- ``fixed_point``: sums of whole numbers, which do not depend on the order of their terms.
"""
