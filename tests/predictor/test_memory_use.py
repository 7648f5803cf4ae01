"""The length of the movie does not show in the resident size."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.prompts import PointPrompt

SCRIPT = """
import gc, json, sys
import dask.array as da
import numpy as np
import psutil
import torch
from napari_sam2.model.config import HieraConfig, SAM2Config
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.divisions import daughters_of
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt

early, num_frames, num_objects = (int(one) for one in sys.argv[1:4])
view = sys.argv[4]
torch.set_num_threads(1)
torch.manual_seed(0)
hiera = HieraConfig(16, stages=(1, 1, 2, 1), global_blocks=(3,), window_spec=(8, 4, 4, 2))
model = SAM2(SAM2Config("small", hiera, "2.1", 64, 32, 16, 1, 32, 32, 4, 6))


def frame(block_id):
    noise = np.random.default_rng(block_id[0]).integers(0, 4000, (1, 256, 256))
    return noise.astype(np.uint16)


chunks = ((1,) * num_frames, (256,), (256,))
meta = np.zeros((0, 0, 0), np.uint16)
movie = da.map_blocks(frame, chunks=chunks, dtype=np.uint16, meta=meta)
session = VideoSession.open(movie, cache_bytes=2**20)
predictor = VideoPredictor(model, Runtime.auto("cpu"), PredictorOptions(view=view))
for object_id in range(1, 1 + num_objects):
    session.add(PointPrompt(object_id, num_frames // 2, (100 * object_id, 120)))
predictor.commit(session)
# The division network stays in memory once it was asked, which a short movie may never do.
daughters_of(session, 1, num_frames // 2 + 1)
resident = []


def taken():
    gc.collect()
    return {
        "peak": max(resident),
        "now": psutil.Process().memory_info().rss,
        "output": sum(
            sys.getsizeof(record) + sys.getsizeof(record.bits)
            for masklet in session.masklets
            for record in masklet.records.values()
        ),
        "frames": sum(len(m.records) for m in session.masklets),
        "cached": session.features.bytes,
    }


for result in predictor.propagate(session):
    if len(result.objects) and result.frame % 25 == 0:
        resident.append(psutil.Process().memory_info().rss)
    if sum(len(m.records) for m in session.masklets) == num_objects * early:
        first = taken()
print(json.dumps([first, taken()]))
"""


class Counted(dict):
    """Counts the entries that are looked at."""

    looks = 0

    def __getitem__(self, key):
        self.looks += 1
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.looks += 1
        return super().get(key, default)

    def __contains__(self, key):
        self.looks += 1
        return super().__contains__(key)

    def __iter__(self):
        self.looks += len(self)
        return super().__iter__()

    def keys(self):
        self.looks += len(self)
        return super().keys()

    def values(self):
        self.looks += len(self)
        return super().values()

    def items(self):
        self.looks += len(self)
        return super().items()


def test_a_late_frame_looks_at_no_more_frames_than_an_early_one(predictor):
    frames = 60
    session = VideoSession.open(np.zeros((frames, 48, 64), np.uint8))
    predictor.predict_frame(session, PointPrompt(1, 0, (20, 20)))
    tracked = session.objects[1].tracked = Counted()
    looks = []
    for _ in predictor.propagate(session, PropagateOptions(direction="forward")):
        looks.append(tracked.looks)
        tracked.looks = 0
    assert len(tracked) == frames
    assert set(looks[20:]) == {looks[20]}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("objects", "view"), [(2, "whole"), (1, "follow")])
def test_twelve_hundred_frames_take_what_four_hundred_take(objects, view):
    """160 MB of frames and, were they kept, more than that of features and memories.

    Fewer than four hundred may show no object at all: the network knows nothing, and what it does
    with a mask is then not yet in memory.
    """
    command = [sys.executable, "-c", SCRIPT, "400", "1200", str(objects), view]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=800)
    early, late = json.loads(output.stdout)
    assert early["frames"] == objects * 400
    assert late["frames"] == objects * 1200
    assert late["cached"] <= 2**20
    for moment in ("peak", "now"):
        before, after = early[moment] - early["output"], late[moment] - late["output"]
        assert after < 1.025 * before, (moment, early, late)
