"""The wings of the package import each other as the table here says: no arrow up, and no circle between files.

``python tests/test_architecture.py`` prints how many files, arrows and floors there are.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "regression"
NAMES = "regression"  # the public names, of the package itself
BELOW_FITS = {"common", "kernels", "curves", "moments", "inference", "solutions", "estimation", "figures"}
BELOW_TRAINING = {*BELOW_FITS, "fits", "series", "descent", "data"}
MAY_IMPORT: dict[str, set[str]] = {
    "common": set(),
    "kernels": set(),
    "curves": {"common"},
    "moments": {"common", "kernels", "curves"},
    "inference": {"common", "curves"},
    "solutions": {"common", "curves"},
    "estimation": {"common", "kernels", "curves", "moments", "inference", "solutions"},
    "figures": {"common", "curves", "inference"},
    "fits": BELOW_FITS,
    "series": {"common", "kernels", "curves", "moments", "inference", "solutions", "estimation"},
    "descent": {"common"},
    "stores": {"common"},
    "readers": {"common", "stores"},
    "text": {"common", "readers"},
    "data": {"common", "kernels", "stores", "readers", "text"},
    "training": BELOW_TRAINING,
    "outputs": {*BELOW_TRAINING, "stores", "training"},
    "runs": {"common", "fits", "training"},
    NAMES: {*BELOW_TRAINING, "stores", "readers", "training", "outputs", "runs"},
    "cli": {*BELOW_TRAINING, "stores", "readers", "training", "outputs", "runs"},
}
MOST_FLOORS = 8
MOST_LINES, MOST_LINES_OF_WING, MOST_LINES_OF_BODY = 300, 2000, 40

Arrows = dict[str, set[str]]


@cache
def arrows() -> Arrows:
    """Return what each file imports of the package, by dotted names, imports for type checkers and in functions too."""
    files = {dotted(path): path for path in PACKAGE.rglob("*.py")}
    return {name: set(imported(ast.parse(path.read_text()), set(files))) for name, path in files.items()}


def dotted(path: Path) -> str:
    parts = (*path.relative_to(PACKAGE.parent).parts[:-1], path.stem)
    return ".".join(part for part in parts if part != "__init__")


def imported(tree: ast.AST, files: set[str]) -> Iterator[str]:
    """Yield the files that a file imports, or imports from; a name of a wing may be a file in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield from {inner if inner in files else module} & files


def wing(name: str) -> str:
    """Return the wing of a file; of the public names and the Python door, the package itself."""
    first = (*name.split("."), "")[1]
    return first if first in MAY_IMPORT else NAMES


def arrows_up() -> set[tuple[str, str]]:
    """Return the imports that the table does not allow."""
    return {
        (name, target)
        for name, targets in arrows().items()
        for target in targets
        if wing(target) not in {wing(name), *MAY_IMPORT[wing(name)]}
    }


def circles() -> list[list[str]]:
    """Return the groups of files that reach each other by imports."""
    reached = {name: reach(name) for name in arrows()}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in arrows()}
    return sorted(sorted(group) for group in groups if group)


def reach(name: str) -> set[str]:
    """Return the files that a file imports, directly or by way of others."""
    found, left = set[str](), [name]
    while left:
        new = arrows()[left.pop()] - found
        found |= new
        left += new
    return found


def floors() -> int:
    """Return the number of wings of the longest chain in which each imports the next."""
    between: Arrows = {name: set() for name in MAY_IMPORT}
    for name, targets in arrows().items():
        between[wing(name)] |= {wing(target) for target in targets} - {wing(name)}
    floor: dict[str, int] = {}
    for name in TopologicalSorter(between).static_order():
        floor[name] = 1 + max((floor[target] for target in between[name]), default=0)
    return max(floor.values())


def test_every_wing_is_in_the_table() -> None:
    """The table has each folder of the package, and no other."""
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} - {"."}
    assert folders == set(MAY_IMPORT) - {NAMES}


def test_no_arrow_up() -> None:
    """A file imports only what its wing may import."""
    assert arrows_up() == set()


def test_no_circles() -> None:
    """No file imports itself by way of others, not even for type checkers."""
    assert circles() == []


def test_floors() -> None:
    """The wings stand on few floors."""
    assert floors() <= MOST_FLOORS


def test_files_and_wings_are_small() -> None:
    """No file has over 300 lines, and no wing over 2,000: a larger one is divided."""
    lines = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    wings: Counter[str] = Counter()
    for path, count in lines.items():
        wings[path.parent.name] += count
    assert {path.name: count for path, count in lines.items() if count > MOST_LINES} == {}
    assert {name: count for name, count in wings.items() if count > MOST_LINES_OF_WING} == {}


def test_functions_are_short() -> None:
    """No function has over 40 lines beside its signature and its docstring."""
    long = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                count = 1 + (body[-1].end_lineno or 0) - body[0].lineno if body else 0
                if count > MOST_LINES_OF_BODY:
                    long[f"{path.stem}.{node.name}"] = count
    assert long == {}


if __name__ == "__main__":
    pairs = [(name, target) for name, targets in arrows().items() for target in targets]
    print(f"{len(arrows())} files, {len(pairs)} arrows, {floors() if not arrows_up() else '?'} floors")
    print(f"{len(arrows_up())} arrows up", *(" -> ".join(pair) for pair in sorted(arrows_up())), sep="\n  ")
    print(f"{len(circles())} circles", *map(", ".join, circles()), sep="\n  ")
