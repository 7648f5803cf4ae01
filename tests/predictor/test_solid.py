"""Masks without holes stay without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.predictions import prediction

from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions, Twice
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.solid import stay_solid
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

SIDE = 128
FRAMES = 4


def disk(radius: float, center: tuple[int, int] = (64, 64)) -> np.ndarray:
    y, x = np.ogrid[:SIDE, :SIDE]
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2


RING = disk(24) & ~disk(12)


def prompted(*masks: np.ndarray, solid: Twice = "auto") -> tuple[VideoPredictor, VideoSession]:
    """Return a session whose objects were prompted by masks on its first frame."""
    noise = np.random.default_rng(0).normal(200, 8, (FRAMES, SIDE, SIDE))
    session = VideoSession.open((noise + 900 * disk(24)).astype(np.uint16))
    options = PredictorOptions(solid=solid)
    predictor = VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"), options)
    for number, mask in enumerate(masks, 1):
        predictor.predict_frame(session, MaskPrompt(number, 0, mask))
    predictor.commit(session)
    return predictor, session


def test_a_hole_is_filled_and_a_ring_stays_a_ring() -> None:
    _, session = prompted(disk(24), RING)
    answer = prediction(RING, RING)
    found = stay_solid(session, answer, [1, 2]).logits[:, 0] > 0
    assert np.array_equal(found[0].numpy(), disk(24)[::2, ::2])
    assert np.array_equal(found[1].numpy(), RING[::2, ::2])
    # The answer itself, which others may hold, stays as it was.
    assert np.array_equal(answer.logits[0, 0].numpy() > 0, RING[::2, ::2])


def test_pixels_that_a_brush_left_out_are_no_hole() -> None:
    painted = disk(24)
    painted[60, 60] = painted[70, 66] = False
    _, session = prompted(painted)
    assert bool((stay_solid(session, prediction(RING), [1]).logits[0, 0, 32, 32] > 0).item())


def test_notches_and_empty_masks_are_left_as_they_are() -> None:
    _, session = prompted(disk(24), disk(24))
    notched = disk(24) & ~disk(8, (64, 84))
    answer = prediction(notched, np.zeros_like(notched))
    assert stay_solid(session, answer, [1, 2]) is answer


@pytest.mark.parametrize(("solid", "hole"), [("auto", 0), ("off", 200)])
def test_a_run_remembers_no_hole(monkeypatch, solid, hole) -> None:
    """The decoder is made to leave the middle of the cell out."""
    predictor, session = prompted(disk(24), solid=solid)
    decode = predictor.model.decode_all
    (view,) = {session.objects[1].view}
    middle = torch.from_numpy(view.mask_to_input(disk(10)).numpy()[..., ::4, ::4] > 0)

    def holed(*args, **kwargs):
        output = decode(*args, **kwargs)
        return type(output)(
            **{name: getattr(output, name) for name in output.__dataclass_fields__}
            | {"logits": output.logits.masked_fill(middle, -8.0)}
        )

    monkeypatch.setattr(predictor.model, "decode_all", holed)
    list(predictor.propagate(session, PropagateOptions(direction="forward")))
    for frame in range(1, FRAMES):
        assert (disk(10) & ~session.masklets.mask(1, frame)).sum() >= hole
        assert hole or (disk(10) & ~session.masklets.mask(1, frame)).sum() == 0
        remembered = session.objects[1].bank.get(frame).logits
        assert bool((remembered[middle[0, 0]] > 0).all()) is not bool(hole)
