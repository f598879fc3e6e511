"""What every wing may use. Imports no other wing.

- ``errors``: the errors that a user can cause.
- ``text``: counted nouns, suggestions for misspelt words, and text made safe for terminals and spreadsheets.
- ``command_line``: options among the words of a command line.
- ``value_and_error``: a value rounded to the digits that its standard error leaves significant.
- ``public_names``: where the public names are defined.
- ``version``: the version of the package.
- ``atomic_files``: files written whole or not at all.
- ``rules``: checks of options, and of values read from the files of earlier runs.
- ``arrays``: converts columns of any library to float64, or refuses them.
- ``time_scale``: instants and durations as numbers: the time since an origin, in a unit.
- ``times``: columns of times of any library, as whole nanoseconds and as numbers of their scales.
- ``html_table``: tables for notebooks, with texts made safe for them.
- ``data_frames``: picks named columns from a data frame, and makes pandas data frames.
- ``number_arrays``: arrays of a fit's numbers, which in conditions behave as lists do.
- ``points``: points with their sigma, scanned by several threads, and global batches of them.
- ``weights``: converts weights to sigma, and repeats points by their counts.
- ``row_ranges``: divides rows into parts, blocks and shares.
- ``threads``: work shared out over threads.
- ``collectives``: sums and lists over the processes of a run.
"""
