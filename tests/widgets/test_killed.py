"""The process is killed at random moments of a session, and nothing that was saved is lost."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2.editing.document import Document
from napari_sam2.io.session_file import MovieStamp, SessionFolder, read_session
from napari_sam2.masklets import MaskletSet

KILLS = 20
MOST_CHANGES = 60
"""Changes, at most, before a process is killed."""


@pytest.fixture(scope="module")
def stem(small_network, tmp_path_factory):
    """The process that forks those that work."""
    from napari_sam2.model.config import PRESETS

    config = tmp_path_factory.mktemp("stem") / "config.pickle"
    config.write_bytes(pickle.dumps(PRESETS["small-random"]))
    script = Path(__file__).with_name("scripted_session.py")
    process = subprocess.Popen(
        [sys.executable, str(script), small_network, str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    yield process
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


def entries(log: Path) -> list[dict]:
    """Return the whole lines of a log."""
    if not log.exists():
        return []
    lines = log.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def killed_after(stem, folder: Path, moments: random.Random) -> list[dict]:
    """Let a process make some changes, kill it a moment later, and return what it had said."""
    changes, more = moments.randint(2, MOST_CHANGES), moments.uniform(0.0, 0.05)
    stem.stdin.write(f"{folder} {moments.randint(0, 10**6)}\n")
    stem.stdin.flush()
    number = int(stem.stdout.readline())
    end = time.monotonic() + 60
    while len(entries(folder / "log.jsonl")) < changes:
        assert time.monotonic() < end, "it does not work"
        time.sleep(0.005)
    time.sleep(more)
    os.kill(number, signal.SIGKILL)
    return entries(folder / "log.jsonl")


@pytest.mark.slow
def test_whatever_the_moment_nothing_but_the_frame_in_flight_is_lost(stem, tmp_path, synthetic):
    moments = random.Random(4)
    compared, lost = 0, []
    for number in range(KILLS):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        movie = np.asarray(synthetic.images)
        tifffile.imwrite(folder / "cells.tif", movie, metadata={"axes": "TYX"})
        log = killed_after(stem, folder, moments)
        known, count = compare(folder / "cells.sam2", log)
        compared += known
        lost.append(count)
    assert compared > 100, (compared, lost)
    # The thread that saves is a frame behind the one that tracks, on a busy machine some more.
    assert np.median(lost) <= 1, lost
    assert max(lost) <= 8, lost


def compare(root: Path, log: list[dict]) -> tuple[int, int]:
    """Compare a reopened session with its log: masks that were known, and frames that are lost."""
    place = max((i for i, entry in enumerate(log) if "saved" in entry), default=0)
    saved = log[place].get("saved", {"prompts": [], "masks": []})
    frames = range(12)
    # What a frame may hold: what was saved, and every later change of it.
    allowed = {t: [masks_on(t, saved["masks"])] for t in frames}
    prompts = [saved["prompts"]]
    for entry in log[place + 1 :]:
        if "now" in entry:
            prompts.append(entry["now"]["prompts"])
            for t in entry["frames"]:
                allowed[t].append(masks_on(t, entry["now"]["masks"]))
    if not any(saved.values()) and not (root / "session.json").exists():
        # It ended before its first line; the folder can be used all the same.
        movie = tifffile.imread(root.with_name("cells.tif"))
        SessionFolder(root, MovieStamp.of(movie)).write_head(Document(MaskletSet(movie.shape)), {})
        return 0, 0
    document = read_session(root).document
    found = [(m.object_id, t, r.area) for m in document.masklets for t, r in m.records.items()]
    assert sorted(repr(prompt) for prompt in document.prompts.all()) in prompts, root
    for t in frames:
        assert masks_on(t, found) in allowed[t], (root, t)
    return len(saved["masks"]), sum(masks_on(t, found) != allowed[t][-1] for t in frames)


def masks_on(frame: int, masks: list) -> list[tuple[int, int]]:
    """Return object and area of the masks of a frame."""
    return sorted((object_id, area) for object_id, t, area in masks if t == frame)
