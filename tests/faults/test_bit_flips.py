"""A checkpoint with a single flipped bit is refused, wherever the bit is."""

import random
from pathlib import Path

import pytest

from regression.common.errors import UsageError
from regression.runs.checkpoint_file import read_checkpoint
from tests.faults.conftest import Counts
from tests.support.command import Command, config

RUNS = {
    "gradient": ("-c", config("line")),
    "exact": ("-c", config("polynomial_exact")),
    "held out": ("-c", config("line"), "--data.validation_fraction", "0.3", "--optimizer", "Adam"),
}


def is_refused(path: Path) -> bool:
    try:
        read_checkpoint(str(path))
    except UsageError as error:
        return "checkpoint is damaged" in str(error) or "not a checkpoint of this program" in str(error)
    return False


@pytest.mark.parametrize(
    "number", [pytest.param(200, id="sample"), pytest.param(None, id="every bit", marks=pytest.mark.faults)]
)
@pytest.mark.parametrize("run", RUNS)
def test_a_flipped_bit_is_refused(command: Command, tmp_path: Path, counts: Counts, run: str, number: int) -> None:
    """A run's checkpoint with one bit flipped, each of many random ones or of all, is refused."""
    content, path = Path(command("fit", *RUNS[run]).checkpoint).read_bytes(), tmp_path / "flipped.ckpt"
    path.write_bytes(content)
    assert not is_refused(path)
    everywhere = range(8 * len(content))
    bits = everywhere if number is None else random.Random(0).sample(everywhere, number)
    lost = 0
    with path.open("r+b", buffering=0) as file:
        for bit in bits:
            file.seek(bit // 8)
            file.write(bytes([content[bit // 8] ^ 1 << bit % 8]))
            lost += not is_refused(path)
            file.seek(bit // 8)
            file.write(content[bit // 8 : bit // 8 + 1])
    counts("one bit of a checkpoint flipped", len(bits), lost)
    assert lost == 0
