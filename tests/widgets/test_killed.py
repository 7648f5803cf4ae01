"""The process is killed at random moments of a session, and nothing that was saved is lost."""

from __future__ import annotations

import hashlib
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
MOST_CHANGES = 40
"""Changes, at most, before a process is killed."""


def short(prompt: object) -> str:
    """Return by what a prompt is known in the log."""
    return hashlib.sha256(repr(prompt).encode()).hexdigest()[:12]


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
    log = folder / "log.jsonl"
    while sum("writing" not in entry for entry in entries(log)) < changes:
        assert time.monotonic() < end, "it does not work"
        time.sleep(0.01)
    time.sleep(more)
    os.kill(number, signal.SIGKILL)
    return entries(log)


@pytest.mark.slow
def test_whatever_the_moment_nothing_but_the_frame_in_flight_is_lost(stem, tmp_path, synthetic):
    moments = random.Random(4)
    compared, runs, acts = 0, [], []
    for number in range(KILLS):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        movie = np.asarray(synthetic.images)
        tifffile.imwrite(folder / "cells.tif", movie, metadata={"axes": "TYX"})
        log = killed_after(stem, folder, moments)
        known, tracked, done = compare(folder / "cells.sam2", log)
        compared += known
        runs.append(tracked)
        acts.append(done)
    assert compared > 30, (compared, runs, acts)
    # A run waits until its last frame is on disk; one more may have gone with a click's answer.
    assert np.median(runs) <= 1, runs
    assert max(runs) <= 2, runs
    # Nobody waits between clicks; a burst of them may be a few files ahead of the disk.
    assert np.median(acts) <= 1, acts
    assert max(acts) <= 6, acts


def compare(root: Path, log: list[dict]) -> tuple[int, int, int]:
    """Compare a reopened session with its log.

    Returns how many masks were known, how many frames of runs are lost, and how many acts.
    """
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
    # The last change may be on disk before the window has come to log it.
    last = max((i for i, entry in enumerate(log) if "now" in entry), default=0)
    for written in (entry["writing"] for entry in log[last + 1 :] if "writing" in entry):
        if "prompts" in written:
            prompts.append(written["prompts"])
        else:
            allowed[written["frame"]].append(masks_on(written["frame"], written["masks"]))
    if not any(saved.values()) and not (root / "session.json").exists():
        # It ended before its first line; the folder can be used all the same.
        movie = tifffile.imread(root.with_name("cells.tif"))
        SessionFolder(root, MovieStamp.of(movie)).write_head(Document(MaskletSet(movie.shape)), {})
        return 0, 0, 0
    document = read_session(root).document
    found = [(m.object_id, t, r.area) for m in document.masklets for t, r in m.records.items()]
    assert sorted(short(prompt) for prompt in document.prompts.all()) in prompts, root
    begun = [entry["writing"] for entry in log if "frame" in entry.get("writing", ())]
    in_flight = begun[-1]["frame"] if begun else None
    for t in frames:
        is_allowed = is_between if t == in_flight else list.__contains__
        assert is_allowed(allowed[t], masks_on(t, found)), (root, t)
    lost = lost_changes(found, log[place + 1 :])
    tracked = sum(entry["tracked"] for entry in lost)
    return len(saved["masks"]), tracked, len(lost) - tracked


def lost_changes(found: list, entries: list[dict]) -> list[dict]:
    """Return the changes of which something is not on disk, though nothing came after it."""
    lost, settled = [], set()
    for entry in reversed([one for one in entries if "now" in one]):
        newest = [t for t in entry["frames"] if t not in settled]
        if any(masks_on(t, found) != masks_on(t, entry["now"]["masks"]) for t in newest):
            lost.append(entry)
        settled.update(newest)
    return lost


def is_between(states: list[list], found: list[tuple[int, int]]) -> bool:
    """Say whether each mask is of one of these states, and whatever is in all of them is there."""
    seen = {mask for state in states for mask in map(tuple, state)}
    always = set.intersection(*({object_id for object_id, _ in state} for state in states))
    return seen.issuperset(found) and always <= {object_id for object_id, _ in found}


def masks_on(frame: int, masks: list) -> list[tuple[int, int]]:
    """Return object and area of the masks of a frame."""
    return sorted((object_id, area) for object_id, t, area in masks if t == frame)
