"""The command fits and predicts tables in a store, and resumes, as the documents say, and writes no secret."""

import re
import socket
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from regression import TableDataModule, UsageError
from regression.data.files import column_names
from regression.outputs.predictions import PredictionFile
from tests.stores.conftest import SECRET
from tests.support.command import ROOT, Command, Run, run_process
from tests.support.s3_server import Store

FIT = ("--x", "x", "--y", "y", "--degree", "2")
X, NOISE = np.random.default_rng(5).random((2, 2000))
POINTS = pa.table({"part": np.arange(2000) % 2, "x": X, "y": 1 + X**2 + NOISE / 10})


@pytest.fixture
def points(store: Store, tmp_path: Path) -> Path:
    """A folder with a key, here and in the store, and a table to predict."""
    flavor = dataset.partitioning(pa.schema([("part", pa.int64())]), flavor="hive")
    dataset.write_dataset(POINTS, tmp_path / "points", format="parquet", partitioning=flavor)
    parquet.write_table(POINTS.select(["x"]), tmp_path / "new.parquet")
    store.put_folder(tmp_path)
    return tmp_path / "points"


def numbers(run: Run) -> dict[str, object]:
    """Return the numbers of a run's fit."""
    return {name: run.fit[name] for name in ("params", "bse", "ssr", "nobs")}


def documented() -> list[list[str]]:
    """Return the words of the commands in the documents' block on stores."""
    section = (ROOT / "docs" / "files.md").read_text().partition("## Files in stores")[2]
    (block,) = re.findall(r"```bash\n(.*?)```", section.partition("\n## ")[0], flags=re.DOTALL)
    return [line.partition("#")[0].split()[2:] for line in block.splitlines() if line.startswith("python train.py")]


def test_documented_commands(store: Store, points: Path, command: Command) -> None:
    """A folder in a store is fitted, predicted and resumed by the documented lines, to the bits of the local folder."""
    done: list[Run] = []
    for words in documented():
        done.append(command(*(word.replace("s3://bucket", store.url) for word in words)))
        assert (done[-1].code, done[-1].err) == (0, ""), done[-1].err
        there = done[-1]
        if words[0] == "predict":
            assert there.folder is not None
            here = (there.folder / "predictions.parquet").read_bytes()
            assert there.out.splitlines()[0].endswith(f"/predictions.parquet and {store.url}/predictions.parquet")
            assert store.get("predictions.parquet") == here
    local = command("fit", str(points), *FIT)
    assert numbers(done[0]) == numbers(local)
    whole = command("fit", str(points), *FIT, "--optimizer", "Adam", "--trainer.max_steps", "40")
    assert numbers(done[-1]) == numbers(whole)


def test_no_secret_is_written(store: Store, points: Path, command: Command, tmp_path: Path) -> None:
    """No file that a run leaves, and nothing that it prints, holds a credential."""
    assert points.is_dir()
    done = command("fit", f"{store.url}/points", *FIT, "--optimizer", "Adam", "--trainer.max_steps", "2")
    assert (done.code, done.folder is not None) == (0, True)
    written = [path.read_bytes() for path in (tmp_path / "lightning_logs").rglob("*") if path.is_file()]
    assert len(written) > 5
    assert any(store.url.encode() in content for content in written)
    assert not [content for content in written if SECRET.encode() in content]
    assert SECRET not in done.out


S3_MEANS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
WEB_MEANS = "download the file, or pipe it in: curl ADDRESS | python train.py fit -"


@pytest.mark.parametrize(
    ("address", "means"),
    [
        (f"s3://tester:{SECRET}@bucket/points.csv", S3_MEANS),
        (f"s3://tester:{SECRET}/{SECRET}@bucket/points.csv", S3_MEANS),
        (f"s3://bucket/points.csv?secret_key={SECRET}", S3_MEANS),
        (f"https://me:{SECRET}@example.org/a.csv", WEB_MEANS),
        (f"https://{SECRET}@example.org/a.csv", WEB_MEANS),
        (f"https://example.org/a.csv?X-Amz-Expires=9&X-Amz-Signature={SECRET}", WEB_MEANS),
        (f"https://a.blob.core.windows.net/c/a.csv?sv=2026&sig={SECRET}", WEB_MEANS),
        (f"hdfs://me:{SECRET}@server:9000/a.csv", "run kinit"),
        (f"sftp://me:{SECRET}@server/a.csv", "give them as the store's own tools take them"),
    ],
)
def test_an_address_with_a_secret_is_refused(address: str, means: str) -> None:
    """A password, key or signature in an address is refused by every way in, in the same words, and not shown."""
    for way_in in (
        lambda: TableDataModule(address),
        lambda: TableDataModule("a.csv", validation_path=address),
        lambda: column_names(address),
        lambda: PredictionFile(address),
    ):
        with pytest.raises(UsageError, match="holds a password, a key or a signature") as refusal:
            way_in()
        assert str(refusal.value).endswith(f"leave it out; {means}")
        assert SECRET not in str(refusal.value)


def test_a_refused_secret_is_not_printed(command: Command, tmp_path: Path) -> None:
    """The command refuses an address with a secret in one line without it, and leaves no file."""
    address = f"s3://tester:{SECRET}@bucket/points"
    long = ("--model", "LineRegression", "--data", "TableDataModule", "--data.path", address)
    for words in (("fit", address, *FIT), ("fit", *long)):
        done = command(*words)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert S3_MEANS in done.err
        assert SECRET not in done.err
    assert not list(tmp_path.iterdir())


def test_addresses_where_files_are_wanted(command: Command) -> None:
    """A run's folder, checkpoints, and the output of plot and export, are refused where they are addresses."""
    for words in (
        ("predict", "--ckpt_path", f"https://me:{SECRET}@example.org/last.ckpt?sig={SECRET}"),
        ("fit", "--model", "LineRegression", "--trainer.default_root_dir", f"s3://me:{SECRET}@bucket/runs"),
        ("fit", "--model", "LineRegression", "--trainer.default_root_dir", "s3://bucket/runs"),
        ("plot", "--ckpt_path", "last", "--output", "s3://bucket/fit.pdf"),
        ("export", "--ckpt_path", "last", "--to", "torch", "--output", "s3://bucket/fit.pt2"),
    ):
        done = command(*words)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert re.search(r"a (folder|file|checkpoint) on this machine, got (the address )?(s3|https)://", done.err)
        assert SECRET not in done.err


def test_a_store_that_does_not_answer(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is reported in one line, within seconds."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        server = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", server)
        for address in (f"s3://away-{closed.getsockname()[1]}/a.csv", f"{server}/a.csv"):
            begun = time.monotonic()
            done = command("fit", address, *FIT)
            assert time.monotonic() - begun < 30
            assert (done.code, done.err.count("\n")) == (2, 1)
            assert f"{address}: the store does not answer (" in done.err


def test_two_processes_read_each_byte_once(store: Store, command: Command, tmp_path: Path) -> None:
    """Two processes request each byte of a streamed table once, and their fit has the bits of one process."""
    x, noise = np.random.default_rng(6).random((2, 400_000))
    path, table = tmp_path / "large.parquet", pa.table({"x": x, "y": x**2 + noise})
    parquet.write_table(table, path, row_group_size=50_000, compression="none", use_dictionary=False)
    store.put(path.name, path)
    store.asked()
    options = (*FIT, "--data.in_memory_rows", "1000", "--trainer.accelerator", "cpu", "--trainer.devices")
    two = run_process(tmp_path, "fit", f"{store.url}/{path.name}", *options, "2")
    assert (two.code, two.err) == (0, "")
    asked = store.asked()
    assert 16 * len(x) <= sum(each.size for each in asked) < 1.2 * path.stat().st_size
    assert numbers(two) == numbers(command("fit", str(path), *options, "1"))
