"""What every wing may use. Imports no other wing.

- ``errors``: what can go wrong.
- ``text``: the words that lines are made of.
- ``value_and_error``: a number rounded to what its error says of it.
- ``version``: the version of the package.
- ``atomic_files``: files written whole or not at all.
- ``rules``: what options, and values that a file of an earlier run holds, must be.
- ``arrays``: columns that users hand in, of whatever library, as float64 or refused.
- ``frames``: columns that users name in a frame, and the frames that they get back.
- ``points``: points with their sigma, scanned by several threads, and global batches of them.
- ``weights``: weights as reciprocal variances, and as numbers of observations.
- ``row_ranges``: how rows are divided into parts, blocks and shares.
- ``threads``: work shared out over threads.
- ``collectives``: sums and lists over the processes of a run.
- ``compiled``: plain Python loops, compiled by numba where there is much to do.
- ``compilation``: how, and where the result is kept for other processes; needs numba.
- ``folder_lock``: one process at a time in a folder.
- ``double_double``: arithmetic on numbers of 106 bits, each held as two float64 numbers.
- ``fixed_point``: sums that do not depend on the order, as whole numbers.
"""
