"""What every wing may use; imports nothing of the project.

- ``compiled``: plain Python loops, compiled by numba where there is much to do.
- ``compilation``: how, and where the result is kept for other processes; needs numba.
- ``folder_lock``: one process at a time in a folder.
- ``double_double``: arithmetic on numbers of 106 bits, each held as two float64 numbers.
- ``fixed_point``: sums that do not depend on the order, as whole numbers.
"""
