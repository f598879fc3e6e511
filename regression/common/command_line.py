"""Options as they stand among the words of a command line, before any parser has seen them. Standard library only."""

from collections.abc import Sequence

__all__ = ["option_value"]


def option_value(args: Sequence[str], name: str) -> str | None:
    """Return the value of an option as written on the command line, the last one if there are several.

    Args:
        args: The command line.
        name: The option with its dashes.
    """
    value = None
    for at, word in enumerate(args):
        if word.startswith(f"{name}="):
            value = word.partition("=")[2]
        elif word == name and at + 1 < len(args):
            value = args[at + 1]
    return value
