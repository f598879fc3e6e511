"""A real TensorBoard server shows the run."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.command import Command, config

WAIT_S = 60


@pytest.fixture
def address(command: Command) -> Iterator[str]:
    """Fit the textbook's line, serve its logs on loopback, and yield the server's address."""
    run = command("fit", "-c", config("line"))
    assert run.folder is not None
    arguments = ["--logdir", str(run.folder.parent), "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *arguments, "--reload_interval", "1"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        found = next(match for line in server.stderr if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        yield found[0]
    finally:
        server.kill()
        server.communicate(timeout=WAIT_S)


def ask(address: str, path: str, body: Any = None) -> Any:
    """Repeat a request until the server has read the logs, a bounded number of times."""
    data = None if body is None else json.dumps(body).encode()
    for _ in range(100):
        request = Request(f"{address}/data/plugin/{path}", data, {"Content-Type": "application/json"})
        try:
            answer = json.load(urlopen(request, timeout=WAIT_S))
        except OSError:
            answer = None
        if answer:
            return answer
        subprocess.run(["sleep", "0.2"], check=True)
    pytest.fail(f"no answer to {path}")


@pytest.mark.figures
def test_server_shows_scalars_image_text_and_hyperparameters(address: str) -> None:
    """The server shows loss and coefficients by update, a figure, the report, and a metric of the run."""
    for tag, last in (("Loss%2Ftrain", 0.27754354), ("coefficients%2Fslope", 1.0747765)):
        series = ask(address, f"scalars/scalars?run=version_0&tag={tag}")
        assert [step for _, step, _ in series] == list(range(10))
        assert series[-1][2] == pytest.approx(last, rel=1e-6)

    images = ask(address, "images/images?run=version_0&tag=fit&sample=0")
    assert [image["step"] for image in images] == [10]
    picture = urlopen(f"{address}/data/plugin/images/individualImage?{images[-1]['query']}", timeout=WAIT_S).read()
    assert picture.startswith(b"\x89PNG")

    (text,) = ask(address, "text/text?run=version_0&tag=report%2Ftext_summary")
    assert "1.8358393" in text["text"]

    everything = {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_UNKNOWN", "STATUS_RUNNING"],
                  "colParams": [], "startIndex": 0, "sliceSize": 10}  # fmt: skip
    groups = ask(address, "hparams/session_groups", everything)["sessionGroups"]
    found = {metric["name"]["tag"]: metric["value"] for metric in groups[0]["metricValues"]}
    assert found == pytest.approx(
        {"result/loss": 0.2626967, "result/rsquared": 0.420066, "result/sigma": 0.573036, "result/updates": 10,
         "result/opt_error_se": 0.7409012},
        rel=1e-5,
    )  # fmt: skip
    settings = groups[0]["hparams"]
    assert settings.pop("lr") == pytest.approx(0.1)
    assert settings == {"model": "LineRegression", "optimizer": "SGD", "loss": "MSELoss", "solver": "gradient",
                        "points": 10}  # fmt: skip


def test_losses_stand_first_and_the_epoch_nowhere(command: Command) -> None:
    """A run with validation points has exactly these curves, in the order of TensorBoard: capitals first."""
    run = command("fit", "-c", config("line"), "--data.validation_fraction", "0.3", "--name", "held out")
    assert run.folder is not None
    assert run.folder.name == "version_0-held out"
    tags = EventAccumulator(str(run.folder)).Reload().Tags()
    assert sorted(tags["scalars"]) == [
        "Loss/train", "Loss/validation", "coefficients/intercept", "coefficients/slope", "opt_error_se", "result/loss",
        "result/opt_error_se", "result/rsquared", "result/sigma", "result/updates", "result/val_loss",
    ]  # fmt: skip
    assert (tags["images"], tags["tensors"]) == (["fit"], ["report/text_summary"])
