"""The version of the package; checkpoints and exported curves carry it."""

__version__ = "0.1.0"
