"""The errors a user can cause, each worth one line on the terminal."""

__all__ = ["DataError", "DivergenceError", "SaveError", "UsageError"]


class UsageError(Exception):
    """The input was refused before any work was done; the command exits with status 2."""


class DataError(UsageError):
    """A file of points was refused; the message names the file, and the row and column where there are any."""


class DivergenceError(Exception):
    """The run was stopped because a loss or a coefficient stopped being finite; the command exits with status 1."""


class SaveError(Exception):
    """The run was stopped because a checkpoint could not be saved; the command exits with status 1."""
