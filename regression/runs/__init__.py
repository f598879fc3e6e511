"""A run's folder, checkpoints, processes and signals. May import common, fits and training.

- ``parent_watch``: ends a started process when the process that started it is gone.
- ``environment``: reads from the environment whether a launcher started this process, and removes stale variables.
- ``started_processes``: starts processes that run the command again, before the imports where it can.
- ``folder``: makes a new folder for each run.
- ``checkpoint_file``: writes checkpoints with a checksum, and reads only undamaged ones.
- ``find_checkpoint``: finds checkpoints by the words last and best.
- ``checkpoint_callbacks``: when best.ckpt and last.ckpt are written.
- ``address_store``: the store in which processes on one machine find each other, also when torchrun starts them again.
- ``lightning_internals``: the private names of Lightning that processes and signals need.
- ``processes``: the processes of a run on this machine, and the end of all of them with the cause if one fails.
- ``signals``: stops a fit after the current update, with a checkpoint.
"""
