"""A run's folder, checkpoints, processes and signals. May import common, fits and training.

- ``parent_watch``: a started process ends with the first one.
- ``surroundings``: what the environment says of a process, and what is left over.
- ``folder``: a folder of the run's own.
- ``checkpoint_file``: a checkpoint, sealed when written and read only undamaged.
- ``find_checkpoint``: found by last and best.
- ``checkpoint_callbacks``: when best.ckpt and last.ckpt are written.
- ``lightning_internals``: the private names of Lightning that processes and signals need.
- ``processes``: one process fails, all fail and say why.
- ``signals``: stop after the update, with a checkpoint.
"""
