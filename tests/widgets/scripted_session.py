"""A process that works on a movie until it is killed: run by `test_killed.py`, not by pytest.

``python scripted_session.py NETWORK CONFIG`` loads everything once, then for each line
``FOLDER SEED`` on its standard input forks a process that opens ``FOLDER/cells.tif``, works with a
controller as a user does, and writes to ``FOLDER/log.jsonl`` what it did: a line for each change,
one with all that is on disk whenever everything is, and one for each piece that the saver begins
to write, since that may be ahead of the lines of changes. The number of the process is printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tifffile
import torch
from napari.components import ViewerModel
from napari.layers._source import layer_source

from napari_sam2.io.session_file import SessionFolder
from napari_sam2.model.config import PRESETS
from napari_sam2.prompts import PointPrompt, PromptStore
from napari_sam2.widgets import autosave
from napari_sam2.widgets import engine as engine_module
from napari_sam2.widgets.controller import SegmentationController
from napari_sam2.widgets.engine import Engine
from napari_sam2.widgets.layers import SegmentationLayers
from napari_sam2.widgets.open_movie import OpenMovie


def short(prompt: object) -> str:
    """Return by what a prompt is known in the log."""
    return hashlib.sha256(repr(prompt).encode()).hexdigest()[:12]


class LoggedFolder(SessionFolder):
    """A session folder that logs what it is given before it is written.

    The saver reads the document while the window changes it, and so may write a change that the
    window has not logged yet.
    """

    def __init__(self, log, root, movie) -> None:
        super().__init__(root, movie)
        self.log = log
        self.write_masks = self.masks.write
        self.masks.write = self.log_masks

    def write_head(self, document, settings) -> None:
        seen = PromptStore()
        for prompt in document.prompts.all():
            seen.add(prompt)
        self.log({"writing": {"prompts": sorted(short(prompt) for prompt in seen.all())}})
        super().write_head(SimpleNamespace(objects=document.objects, prompts=seen), settings)

    def log_masks(self, frame, records) -> None:
        masks = [(object_id, frame, record.area) for object_id, record in records.items()]
        self.log({"writing": {"frame": frame, "masks": sorted(masks)}})
        self.write_masks(frame, records)


class Work:
    """One controller at work, and the log of what it has saved."""

    def __init__(self, viewer: ViewerModel, folder: Path, network: str) -> None:
        self.log = (folder / "log.jsonl").open("a")
        self.log_lock = threading.Lock()
        autosave.SessionFolder = partial(LoggedFolder, self.write)
        self.controller = SegmentationController(viewer, wake=lambda: None)
        self.attach = self.controller.sessions.attach
        self.controller.sessions.attach = self.listen
        path = folder / "cells.tif"
        with layer_source(path=str(path)):
            image = viewer.add_image(tifffile.imread(path), name="cells")
        self.controller.set_image(image)
        self.viewer = viewer
        self.controller.load_model(network)
        self.until(lambda: bool(self.controller.models.name))

    def listen(self, movie: OpenMovie) -> None:
        """Hear of each change before it is saved."""
        self.movie, self.is_tracking, self.is_news = movie, False, False
        movie.take_frame = self.tracking(movie.take_frame)
        movie.take_followed = self.tracking(movie.take_followed)
        movie.changed.connect(self.note)
        self.attach(movie)

    def tracking(self, take):
        """Mark in the log what a run or a follow-up has made."""

        def marked(*frame) -> None:
            self.is_tracking = True
            take(*frame)
            self.is_tracking = False

        return marked

    def note(self, frames: set[int]) -> None:
        """Log prompts and masks as they are now, which is before they are saved."""
        tracked = self.is_tracking
        self.is_news = True
        self.write({"now": self.state(frames), "frames": sorted(frames), "tracked": tracked})

    def state(self, frames: set[int] | None = None) -> dict:
        """Return every prompt, and the masks of these frames or of all."""
        document = self.movie.document
        return {
            "prompts": sorted(short(prompt) for prompt in document.prompts.all()),
            "masks": sorted(
                (masklet.object_id, frame, record.area)
                for masklet in document.masklets
                for frame, record in masklet.records.items()
                if frames is None or frame in frames
            ),
        }

    def write(self, entry: dict) -> None:
        with self.log_lock:
            self.log.write(json.dumps(entry) + "\n")
            self.log.flush()

    def until(self, is_so, seconds: float = 30.0) -> None:
        """Poll as a window does; log what is on disk whenever everything is."""
        end = time.monotonic() + seconds
        while not is_so() and time.monotonic() < end:
            self.controller.poll()
            self.log_saved()
            time.sleep(0.003)

    def log_saved(self) -> None:
        saver = self.controller.sessions._savers.get(self.movie)
        if self.is_news and saver is not None and saver.is_saved:
            self.is_news = False
            self.write({"saved": self.state()})

    def act(self, rng: random.Random) -> None:
        """Do something that a user does."""
        controller = self.controller
        last = controller.num_frames - 1
        self.viewer.dims.set_point(0, rng.randint(0, last))
        frame = self.movie.frame
        what = rng.choice(["click", "click", "box", "paint", "run", "run", "edit", "undo"])
        if what == "click":
            if rng.random() < 0.5:
                controller.new_object()
            controller.layers.points.add((frame, rng.randint(8, 87), rng.randint(8, 87)))
        elif what == "box":
            y, x = rng.randint(5, 50), rng.randint(5, 50)
            corners = [(y, x), (y, x + 20), (y + 20, x + 20), (y + 20, x)]
            controller.layers.boxes.add_rectangles(np.array([(frame, *c) for c in corners], float))
        elif what == "paint":
            layer = controller.layers.canvas.layer
            layer.brush_size = 12
            layer.paint((frame, rng.randint(10, 80), rng.randint(10, 80)), controller.new_object())
        elif what == "run":
            controller.propagate(rng.choice(["forward", "both"]))
        elif what == "edit" and controller.objects.ids():
            controller.edits.rename(controller.objects.ids()[0], f"cell {rng.random():.3f}")
        elif what == "undo":
            controller.undo()
        self.until(lambda: False, rng.uniform(0.01, 0.06))


def work_until_killed(viewer: ViewerModel, folder: Path, seed: int, network: str) -> None:
    work = Work(viewer, folder, network)
    rng = random.Random(seed)
    work.write({"begun": time.process_time()})
    while True:
        work.act(rng)


def main() -> None:
    network, config = sys.argv[1:3]
    preset = pickle.loads(Path(config).read_bytes())
    PRESETS[preset.name] = preset
    np.seterr(all="ignore")
    # Once, for all: the network, and what napari and the engine import when they are first used.
    predictor = engine_module.load_predictor(network, None, None)
    engine_module.load_predictor = lambda *_: predictor
    torch.set_num_threads(1)  # threads do not come along into a fork
    still = np.zeros((2, 32, 32), np.uint16)
    warm = ViewerModel()
    warm.add_image(still)
    engine = Engine(lambda message: None)
    layers = SegmentationLayers(warm, warm.layers[0])
    layers.use("points")
    engine.load(network)
    engine.open("warm", layers.movie)
    engine.add(PointPrompt(1, 0, (9, 9)), 1)
    engine.advance()
    viewer = ViewerModel()
    for line in sys.stdin:
        folder, seed = line.split()
        number = os.fork()
        if number == 0:
            work_until_killed(viewer, Path(folder), int(seed), network)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        os.waitpid(number, 0)


if __name__ == "__main__":
    main()
