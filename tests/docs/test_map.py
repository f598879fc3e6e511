"""The map of docs/architecture.md has a line for each file of the package: that of its wing's docstring.

``python -m tests.docs.test_map`` writes the map anew.
"""

import ast
import re
from collections.abc import Iterator

from tests.test_architecture import MAY_IMPORT, NAMES, PACKAGE

PAGE = PACKAGE.parent / "docs" / "architecture.md"
MARKS = "<!-- map: begin -->\n", "<!-- map: end -->\n"


def test_the_map_has_every_file() -> None:
    """Each file of each wing stands in the map with the words of the wing's docstring, and no other."""
    text = PAGE.read_text()
    assert text == with_map(text), "python -m tests.docs.test_map writes the map anew"


def test_the_map_names_files_there_are() -> None:
    """Whatever else the page names as a file of the package is there too."""
    named = set(re.findall(r"`((?:\w+/)+\w+\.py)`", PAGE.read_text()))
    assert {name for name in named if not ((PACKAGE / name).exists() or (PACKAGE.parent / name).exists())} == set()


def test_the_page_names_what_the_files_define() -> None:
    """A name that stands in brackets after a file is defined there."""
    pairs = re.findall(r"`((?:\w+/)+\w+\.py)` \(`(\w+)`\)", PAGE.read_text())
    assert len(pairs) >= 4
    for file, name in pairs:
        assert re.search(rf"^ *(def |class |){name}\b", (PACKAGE / file).read_text(), flags=re.MULTILINE), (file, name)


def with_map(text: str) -> str:
    before, _, rest = text.partition(MARKS[0])
    return before + MARKS[0] + "".join(lines()) + MARKS[1] + rest.partition(MARKS[1])[2]


def lines() -> Iterator[str]:
    for wing in (name for name in MAY_IMPORT if name != NAMES):
        docstring = ast.get_docstring(ast.parse((PACKAGE / wing / "__init__.py").read_text())) or ""
        yield f"\n**`regression/{wing}/`** {docstring.splitlines()[0]}\n\n"
        for name, folder, words in re.findall(r"^- ``(\w+)(/?)``: (.*)$", docstring, flags=re.MULTILINE):
            yield f"- `{wing}/{name}{folder or '.py'}`: {words}\n"


if __name__ == "__main__":
    PAGE.write_text(with_map(PAGE.read_text()))
