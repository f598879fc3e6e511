"""Tests; threads that wait for work leave the cores to the other processes of pytest instead of spinning."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported, here and in started processes
