"""Tables as HTML, for notebooks with light and dark pages."""

from collections.abc import Iterable, Sequence
from html import escape

from regression.common.text import printable

__all__ = ["html_table", "safe_html"]


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table: the first column to the left, the others to the right, in the colour of the page."""
    body = "".join(_row(cells, "td") for cells in rows)
    return (
        f'<table style="margin:.5em 0;color:inherit;border-spacing:1em .1em"><thead>{_row(head, "th")}</thead>'
        f"<tbody>{body}</tbody></table>"
    )


def safe_html(text: str) -> str:
    """Return a text escaped for HTML, because names come from files of other people."""
    return escape(printable(text))


def _row(cells: Iterable[str], kind: str) -> str:
    aligned = (
        f'<{kind} style="text-align:{"right" if k else "left"}">{safe_html(cell)}</{kind}>'
        for k, cell in enumerate(cells)
    )
    return f"<tr>{''.join(aligned)}</tr>"
