"""A run of which all processes are ended, as a scheduler does it, has lost no step."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.training.test_trainer import make

_ENDLESS = """
import signal, sys
from dataclasses import replace
from pathlib import Path
from tests.training.test_trainer import OPTIONS, make

options = replace(OPTIONS, max_steps=10**6, data_workers=1, checkpoint_seconds=1e6)
trainer = make(Path(sys.argv[1]), options)
if sys.argv[2] == "heeds":
    signal.signal(signal.SIGTERM, lambda *_: trainer.stop())
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(trainer.train().step)
"""


def read_steps(folder: Path) -> list[int]:
    with (folder / "steps.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes on this system")
@pytest.mark.parametrize("kind", ["heeds", "does not"])
def test_nothing_is_lost_when_all_processes_of_a_run_are_ended(tmp_path: Path, kind: str) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(tmp_path), kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    while not (tmp_path / "steps.csv").is_file() or not read_steps(tmp_path):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGTERM)
    out, errors = run.communicate(timeout=120)
    second = make(tmp_path)
    assert second.resume()
    if kind == "heeds":
        assert run.returncode == 0, errors
        assert second.state.step == int(out)
    else:
        # The process that makes clips has died, and nobody has asked for it.
        assert f"what was learned in {second.state.step} steps is saved" in errors
    assert second.state.step >= max(read_steps(tmp_path))
    assert sum(second.state.consumed.values()) == second.state.step
