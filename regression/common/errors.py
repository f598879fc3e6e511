"""The errors a user can cause, each worth one line on the terminal, and the words such lines are made of."""

__all__ = ["DataError", "DivergenceError", "SaveError", "Stopped", "UsageError", "counted", "printable"]


class UsageError(Exception):
    """The input was refused before any work was done; the command exits with status 2."""


class DataError(UsageError):
    """A file of points was refused; the message names the file, and the row and column where there are any."""


class DivergenceError(Exception):
    """The run was stopped because a loss or a coefficient stopped being finite; the command exits with status 1."""


class SaveError(Exception):
    """The run was stopped because a checkpoint could not be saved; the command exits with status 1."""


class Stopped(SystemExit):
    """The run was told to stop; the command exits with 128 plus the signal's number.

    Args:
        signum: The signal.
        saved: What to say of the state that was saved.
    """

    def __init__(self, signum: int, saved: str = "nothing is lost: no update was under way") -> None:
        super().__init__(128 + signum)
        self.signum, self.saved = signum, saved


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2,000 rows``.

    Args:
        number: How many there are.
        noun: What there is one of.
        plural: What there are several of, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Return a text with its control characters spelt out: a terminal shows them and does not obey them.

    Args:
        text: Any text, such as a name that stands in somebody else's file.
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
