"""Resident size over short and long movies, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.table import Table
from tests.benchmarks.report import progress

from napari_sam2.model.config import PRESETS

SIDE = 256
_WARM = 20
"""Frames after which every part of the program has run and holds what it needs."""


class DrawnFrames:
    """A movie of any length that is drawn when it is read: it takes no memory itself.

    Parameters
    ----------
    count : int
        Number of frames.
    """

    num_channels = 1

    def __init__(self, count: int) -> None:
        self.shape = (count, SIDE, SIDE)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, t: int) -> NDArray[np.uint8]:
        """Draw a disc that circles over noise, (S, S)."""
        y, x = np.mgrid[:SIDE, :SIDE]
        cy, cx = 128 + 60 * np.sin(t / 40), 128 + 60 * np.cos(t / 40)
        noise = np.random.default_rng(t).integers(0, 60, (SIDE, SIDE))
        disc = (y - cy) ** 2 + (x - cx) ** 2 < 30**2
        return (noise + 150 * disc).astype(np.uint8)


def run() -> list[Table]:
    """Measure both sides, and the bundled network over a movie of 2000 frames."""
    beside = Table(title="resident size, sam2.1-tiny at 256 pixels, one object")
    for column in ("", "50 frames", "500 frames", "growth a frame"):
        beside.add_column(column, justify="right" if column else "left")
    for side in ("ours", "reference"):
        short, long = (_measure(side, "sam2.1-tiny", count) for count in (50, 500))
        growth = (long["end"] - short["end"]) / 450
        beside.add_row(side, _mb(short["end"]), _mb(long["end"]), f"{growth / 1024:.0f} KiB")
    alone = Table(title="resident size, bundled network, one object")
    for column in ("frames", "resident", "of which masks", "ratio without masks"):
        alone.add_column(column, justify="right")
    base = None
    for count in (100, 2000):
        found = _measure("ours", "bundled", count)
        own = found["end"] - found["output"]
        base = base or own
        alone.add_row(str(count), _mb(found["end"]), _mb(found["output"]), f"{own / base:.3f}")
    return [beside, alone]


def _mb(count: float) -> str:
    return f"{count / 2**20:.1f} MiB"


def _measure(side: str, network: str, count: int) -> dict[str, float]:
    progress(f"{side}, {network}, {count} frames")
    command = [sys.executable, "-m", "tests.benchmarks.bench_resident", side, network, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _ours(network: str, count: int) -> Iterator[int]:
    from dataclasses import replace

    from tests.parity.seeding import seeded_weights

    from napari_sam2.model.checkpoint import load_model
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.predictor.runtime import Runtime
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import PointPrompt

    if network == "bundled":
        model = load_model(network)
    else:
        model = SAM2(replace(PRESETS[network], input_size=SIDE)).eval()
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        model.load_state_dict(seeded_weights(shapes, 20.0))
    predictor = VideoPredictor(model, Runtime.auto("cpu", "float32"))
    session = VideoSession.open(DrawnFrames(count))
    predictor.predict_frame(session, PointPrompt(1, 0, (128.0, 188.0)))
    for _ in predictor.propagate(session, PropagateOptions(direction="forward")):
        yield sum(
            len(record.bits) + sys.getsizeof(record)
            for masklet in session.masklets
            for record in masklet.records.values()
        )


def _theirs(network: str, count: int) -> Iterator[int]:
    import torch
    from tests.parity.reference import build_reference, open_state, quiet
    from tests.parity.scenario import normalised

    reference = build_reference(PRESETS[network], SIDE, 20.0)
    movie = DrawnFrames(count)
    grey = np.stack([movie.read(t) for t in range(count)])
    state = open_state(reference, normalised(torch.from_numpy(grey)[:, None].float() / 255))
    reference.add_new_points_or_box(state, 0, 1, [(188.0, 128.0)], [1])
    with quiet():
        for _ in reference.propagate_in_video(state):
            yield 0


def main() -> None:
    """Track one movie in this process and print its resident size."""
    side, network, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    process = psutil.Process()
    result: dict[str, Any] = {}
    for index, output in enumerate((_ours if side == "ours" else _theirs)(network, count)):
        if index == _WARM:
            result["warm"] = process.memory_info().rss
        result["output"] = output
    result["end"] = process.memory_info().rss
    print(json.dumps(result))


if __name__ == "__main__":
    main()
