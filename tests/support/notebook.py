"""Makes a notebook from a page: text becomes text cells, blocks become code cells with their output and figures."""

import base64
import contextlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from tests.support.pages import Played, console_commands, run

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$\n?", flags=re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"^!\[[^\]]*\]\(figures/([^)]+)\)\n", flags=re.MULTILINE)
# Jupyter starts in the notebook's own folder.
START = "import os\n\nif not os.path.exists('train.py'):\n    os.chdir('..')\n"

Cell = dict[str, Any]


def made(page: Path) -> str:
    """Return the notebook of a page, as JSON."""
    cells = [_code(START), *_cells(page.read_text(encoding="utf-8"), page.parent / "figures")]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cells(text: str, figures: Path) -> list[Cell]:
    found, at = list[Cell](), 0
    for match in [*FENCE.finditer(text), None]:
        prose = text[at : match.start() if match else len(text)]
        for name in IMAGE.findall(prose):
            found[-1]["outputs"].append(_picture(figures / name))
        if (rest := IMAGE.sub("", prose).strip("\n")) and not (match and match[1] == "text" and not rest.strip()):
            found.append({"cell_type": "markdown", "metadata": {}, "source": _lines(rest)})
        if match is None:
            break
        at = match.end()
        if match[1] == "python":
            found.append(_code(match[2]))
        elif match[1] == "console":
            found += [_code(f"!{command}", shown) for command, shown in console_commands(match[2])]
        else:
            found[-1]["outputs"].append(_printed(match[2]))
    return found


def _code(source: str, shown: str = "") -> Cell:
    outputs = [_printed(shown)] if shown else []
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}}
    return {**cell, "outputs": outputs, "source": _lines(source.rstrip("\n"))}


def _printed(text: str) -> Cell:
    return {"name": "stdout", "output_type": "stream", "text": _lines(text)}


def _picture(path: Path) -> Cell:
    png = base64.b64encode(path.read_bytes()).decode() if path.exists() else ""
    return {"data": {"image/png": png, "text/plain": ["<Figure>"]}, "metadata": {}, "output_type": "display_data"}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def play_notebook(content: str, names: dict[str, Any], show: Callable[[Any], None] = plt.close) -> list[Played]:
    """Run the code cells of a notebook in the working folder.

    Args:
        content: The notebook.
        names: The namespace of its cells.
        show: Called with each figure that a cell leaves open.
    """
    played = []
    for number, cell in enumerate(json.loads(content)["cells"]):
        if cell["cell_type"] != "code":
            continue
        source, outputs = "".join(cell["source"]), cell["outputs"]
        shown = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
        if source.startswith("!"):
            played.append(Played(number, source[1:], shown, run(source[1:])))
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(source, f"cell {number}", "exec"), names)
        figures = [plt.figure(at) for at in plt.get_fignums()]
        assert len(figures) == sum(output["output_type"] == "display_data" for output in outputs), source
        for figure in figures:
            show(figure)
        plt.close("all")
        played.append(Played(number, None, shown, printed.getvalue()))
    return played
