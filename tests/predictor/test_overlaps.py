"""Pixels that several objects claim go to the one that is expected there; strangers are absent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.dividing_cell import SIDE

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.config import SAM2Config
from napari_sam2.predictor.answering import certain_logits
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.overlaps import share_out
from napari_sam2.predictor.postprocess import LOST_LOGIT, resolve_overlaps
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt

FRAMES = 4


def place(y, x, height, width):
    return MaskRecord.from_mask(np.ones((height, width), bool), origin=(y, x))


def crop(y, x, height, width, logit):
    return (y, x), torch.full((height, width), float(logit))


def claims(placed):
    return [int((logits > 0).sum()) for _, logits in placed]


def test_who_is_expected_there_keeps_the_pixel_however_sure_another_one_is():
    holder, stranger = crop(0, 0, 8, 8, 1), crop(0, 4, 8, 20, 6)
    places = [place(0, 0, 8, 8), place(0, 14, 8, 10)]
    assert claims(share_out([holder, stranger], places)) == [64, 128]
    assert claims(share_out([stranger, holder], places[::-1])) == [128, 64]
    assert claims(resolve_overlaps([holder, stranger])) == [32, 160]


def test_two_who_are_expected_there_go_by_certainty():
    both = [crop(0, 0, 8, 8, 1), crop(0, 4, 8, 8, 6)]
    here = place(0, 0, 8, 12)
    assert claims(share_out(both, [here, here])) == claims(resolve_overlaps(both)) == [32, 64]


def test_nobody_claims_a_pixel_by_being_expected_there():
    (shared,) = share_out([crop(2, 2, 6, 6, -3)], [place(0, 0, 20, 20)])
    assert (shared[1] == -3).all()


@pytest.mark.parametrize(("kept", "expected"), [(3, 0), (4, 32), (5, 40)])
def test_an_object_that_keeps_less_than_half_is_not_there(kept, expected):
    holder, stranger = crop(0, 0, 8, 8 - kept, 1), crop(0, 0, 8, 8, 6)
    places = [place(0, 0, 8, 8 - kept), None]
    shared = share_out([holder, stranger], places)
    assert claims(shared) == [8 * (8 - kept), expected]
    if not expected:
        assert (shared[1][1] <= LOST_LOGIT).all()


@pytest.mark.parametrize(("before", "expected"), [(36, 24), (40, 0)])
def test_an_object_that_keeps_most_of_what_it_was_is_there_whatever_else_it_claims(
    before, expected
):
    """Its mask has taken in a neighbour that is larger than itself."""
    holder, grown = crop(0, 0, 8, 8, 1), crop(0, 0, 8, 11, 6)
    places = [place(0, 0, 8, 8), place(0, 8, 4, before // 4)]
    assert claims(share_out([holder, grown], places)) == [64, expected]


def test_the_certain_outbid_those_who_are_expected():
    certain = [crop(0, 0, 8, 3, np.inf)]
    assert claims(share_out([crop(0, 0, 8, 8, 5)], [place(0, 0, 8, 8)], certain)) == [40]
    certain = [crop(0, 0, 8, 5, np.inf)]
    assert claims(share_out([crop(0, 0, 8, 8, 5)], [place(0, 0, 8, 8)], certain)) == [0]


def test_where_no_place_is_known_certainty_decides():
    both = [crop(0, 0, 8, 8, 1), crop(0, 1, 8, 8, 6)]
    assert claims(share_out(both, [None, None])) == claims(resolve_overlaps(both)) == [8, 64]


def test_the_input_is_left_alone():
    both = [crop(0, 0, 8, 8, 1), crop(0, 0, 8, 8, 6)]
    share_out(both, [place(0, 0, 8, 8), None])
    assert all((logits == value).all() for (_, logits), value in zip(both, (1, 6), strict=True))


def test_it_goes_with_views_and_needs_overlaps_that_are_resolved():
    bundled, large = load_model("bundled").config, SAM2Config("other")
    assert PredictorOptions().holds(bundled)
    assert not PredictorOptions().holds(large)
    assert PredictorOptions(hold="on").holds(large)
    assert not PredictorOptions(overlap="keep").holds(bundled)
    assert not PredictorOptions(hold="off").holds(bundled)


def follow(**options) -> VideoSession:
    """Follow two objects that were drawn on one and the same cell."""
    y, x = np.ogrid[:SIDE, :SIDE]
    cell = (y - 64) ** 2 + (x - 64) ** 2 < 18**2
    noise = np.random.default_rng(0).normal(200, 12, (FRAMES, SIDE, SIDE))
    session = VideoSession.open((noise + 900 * cell).clip(0).astype(np.uint16))
    predictor = VideoPredictor(
        load_model("bundled"), Runtime.auto("cpu", "float32"), PredictorOptions(**options)
    )
    session.add(MaskPrompt(1, 0, cell))
    session.add(MaskPrompt(2, 0, cell))
    list(predictor.propagate(session, PropagateOptions(direction="forward")))
    return session


def test_of_two_objects_on_one_cell_one_is_there_and_the_other_is_remembered_as_absent():
    session = follow()
    first, second = (session.masklets.record(i, 1) for i in (1, 2))
    there, absent = (first, second) if first.visible else (second, first)
    assert there.area > 900
    assert not absent.visible
    assert absent.object_score < 0 < there.object_score
    memory = session.objects[2 if first.visible else 1].bank.get(1)
    assert (memory.logits < 0).all()
    assert memory.center is not None, "where it should be is still known"


def test_what_is_not_there_is_remembered_as_the_whole_network_would():
    """Its pointer is made without the decoder, and its memory once for all that share a view."""
    session, model = follow(), load_model("bundled")
    gone = 2 if session.masklets.record(1, 1).visible else 1
    memory = session.objects[gone].bank.get(1)
    runtime = Runtime.auto("cpu", "float32")
    features = FrameEncoder(model.eval(), runtime).features(session, 1, memory.view)
    side = model.config.input_size
    with torch.inference_mode():
        asked = model.embed_mask_prompt(features, torch.zeros(1, 1, side, side))
        nothing, _ = certain_logits(np.zeros(memory.view.frame_shape, bool), memory.view)
        spatial = model.encode_memory(features, nothing, -torch.ones(1, 1), binarize=False)
    assert torch.equal(memory.pointer, asked.pointer[0])
    torch.testing.assert_close(memory.spatial, spatial[0])


def test_off_both_keep_what_they_are_surer_of():
    session = follow(hold="off")
    records = [session.masklets.record(i, 1) for i in (1, 2)]
    assert all(one.object_score > 0 for one in records)
    assert sum(one.area for one in records) > 900
