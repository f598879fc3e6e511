"""Errors in one line: what was expected, what came, what to do."""

__all__ = ["one_line"]


def one_line(error: BaseException) -> str:
    """Return the error in one line, the parser's nested lists boiled down to their cause."""
    text = str(error).strip() or type(error).__name__
    return " ".join(text.split())
