"""The errors that a user can cause; the command prints each as one line."""

__all__ = ["DataError", "DivergenceError", "SaveError", "Stopped", "UndeterminedWarning", "UsageError"]


class UsageError(Exception):
    """The input was refused before any work was done; the command exits with status 2."""


class DataError(UsageError):
    """A file of points was refused; the message names the file, and the row and column where there are any."""


class DivergenceError(Exception):
    """The run was stopped because a loss or a coefficient stopped being finite; the command exits with status 1."""


class SaveError(Exception):
    """The run was stopped because a checkpoint could not be saved; the command exits with status 1."""


class Stopped(SystemExit):
    """A signal stopped the run; the command exits with 128 plus the signal's number.

    Args:
        signum: The signal.
        saved: What to print about the state that was saved.
    """

    def __init__(self, signum: int, saved: str = "nothing is lost: no update was under way") -> None:
        super().__init__(128 + signum)
        self.signum, self.saved = signum, saved


class UndeterminedWarning(UserWarning):
    """The points do not determine all coefficients."""
