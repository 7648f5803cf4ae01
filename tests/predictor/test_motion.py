"""How far an object has moved, and that what is remembered of it moves along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.jumping_stage import JUMP, JUMPS, SHAPE, cells, disk, jumping

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor import motion
from napari_sam2.predictor.frames import ArrayFrames
from napari_sam2.predictor.intensity import IntensityMapping
from napari_sam2.predictor.likeness import Search, stage_shift
from napari_sam2.predictor.motion import center_of, expect
from napari_sam2.predictor.options import Motion, PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.predictor.whereabouts import find_all
from napari_sam2.prompts import MaskPrompt, PointPrompt


def moved(before: NDArray[np.uint16], now: NDArray[np.uint16], mask: NDArray[np.bool_]):
    mapping = IntensityMapping.from_percentiles(ArrayFrames(np.stack([before, now])))
    return Search.of(before, now, mapping, MaskRecord.from_mask(mask)).found() or (0, 0)


@pytest.mark.parametrize("radius", [6, 14, 30])
@pytest.mark.parametrize("step", [(0, 0), (0.2, -0.1), (-0.7, 0.6), (0.6, 0.5)])
def test_a_cell_is_found_where_it_went_and_not_its_neighbour(radius, step) -> None:
    y, x = 70, 90
    gone = (round(2 * radius * step[0]), round(2 * radius * step[1]))
    before = [(y, x), (y, x + 2.2 * radius), (y - 2.2 * radius, x)]
    now = [(y + gone[0], x + gone[1]), *((b + gone[0], a + gone[1]) for b, a in before[1:])]
    found = moved(cells(before, radius, 1), cells(now, radius, 2), disk((y, x), radius))
    # As fine as the cells that pixels are gathered in: a twentieth of the diameter.
    assert np.abs(np.subtract(found, gone)).max() <= max(1, radius / 10)


def test_a_cell_that_leaves_the_frame_is_followed_over_its_border() -> None:
    before, now = cells([(80, 12)], 14, 1), cells([(80, 4)], 14, 2)
    assert np.abs(np.subtract(moved(before, now, disk((80, 12), 14)), (0, -8))).max() <= 1


def test_what_has_gone_is_not_found() -> None:
    before, now = cells([(80, 80)], 14, 1), cells([], 14, 2)
    assert moved(before, now, disk((80, 80), 14)) == (0, 0)


@pytest.mark.parametrize("distance", [30, 32])
def test_a_neighbour_that_was_there_before_is_not_taken_for_a_cell_that_rounds_up(distance) -> None:
    here, there, nowhere = (80, 80), (80, 80 + distance), (-99, -99)
    before = cells([here, there], 14, 1, contrast=500)
    # Small and bright, the mother of two is no longer like herself.
    plate = 3 * disk(here, 6) * cells([here], 14, 3, contrast=500)
    now = np.maximum(cells([nowhere, there], 14, 2, contrast=500), plate).astype(np.uint16)
    assert moved(before, now, disk(here, 14)) == (0, 0)
    # One that went there, beside the same neighbour, is found.
    gone = cells([there, nowhere], 14, 2, contrast=500)
    assert moved(cells([here], 14, 1, contrast=500), gone, disk(here, 14)) == (0, distance)


def test_colours_and_channels_are_looked_at_as_the_network_does() -> None:
    before, now = cells([(80, 80)], 12, 1), cells([(80, 90)], 12, 2)
    frames = np.stack([np.zeros_like(before), before], -1), np.stack([np.zeros_like(now), now], -1)
    mapping = IntensityMapping.from_percentiles(ArrayFrames(np.stack(frames), "TYXC"))
    record = MaskRecord.from_mask(disk((80, 80), 12))
    assert Search.of(*frames, mapping, record).found() == (0, 10)


@pytest.mark.parametrize("value", [0, 7])
def test_pictures_without_contrast_and_odd_masks_move_nothing(value) -> None:
    flat = np.full(SHAPE, value, np.uint8)
    point = np.zeros(SHAPE, bool)
    point[0, 0] = True
    mapping = IntensityMapping.from_percentiles(ArrayFrames(flat[None]))
    assert stage_shift(flat, flat, mapping) == (0, 0)
    for mask in (point, np.ones(SHAPE, bool), disk((5, 5), 20)):
        assert moved(flat, flat, mask) == (0, 0)


def test_the_stage_moves_where_whole_pictures_agree() -> None:
    images, _ = jumping()
    mapping = IntensityMapping.from_percentiles(ArrayFrames(images))
    before, now = images[JUMPS - 1], images[JUMPS]
    # In steps of the cells that a frame is looked at in: 200 pixels in 100 of them.
    assert np.abs(np.subtract(stage_shift(before, now, mapping), (0, JUMP))).max() <= 2
    assert stage_shift(images[0], images[1], mapping) == (0, 0)
    # Cells that go their own ways are no stage.
    one, other = cells([(50, 60), (90, 120)], 12, 1), cells([(62, 60), (90, 104)], 12, 2)
    assert stage_shift(one, other, mapping) == (0, 0)


def predictor(motion: Motion = "auto") -> VideoPredictor:
    options = PredictorOptions(motion=motion)
    return VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"), options)


def overlaps(session: VideoSession, masks: NDArray[np.bool_]) -> list[float]:
    """Return the IoU of the followed cell on each frame."""
    found = [session.masklets.mask(1, t) for t in range(len(masks))]
    return [float((a & b).sum() / (a | b).sum()) for a, b in zip(found, masks, strict=True)]


@pytest.mark.parametrize("prompted", [(0,), (0, 5), (5,)])
def test_a_cell_is_followed_when_the_stage_jumps(prompted) -> None:
    images, masks = jumping()
    session, engine = VideoSession.open(images), predictor()
    for frame in prompted:
        session.add(MaskPrompt(1, frame, masks[frame]))
    list(engine.propagate(session))
    assert min(overlaps(session, masks)) > 0.7


def test_without_it_the_neighbour_is_taken_that_has_come_to_where_it_was() -> None:
    images, masks = jumping()
    session = VideoSession.open(images)
    session.add(MaskPrompt(1, 0, masks[0]))
    list(predictor("off").propagate(session))
    assert max(overlaps(session, masks)[JUMPS:]) < 0.3


def test_a_run_that_goes_on_from_masks_alone_follows_the_jump_too() -> None:
    images, masks = jumping()
    session, engine = VideoSession.open(images), predictor()
    session.add(MaskPrompt(1, 0, masks[0]))
    list(engine.propagate(session, PropagateOptions(direction="forward", stop=JUMPS - 1)))
    session.forget_memories()
    engine.restore(session)
    list(engine.propagate(session, PropagateOptions(direction="forward", resume=True)))
    assert min(overlaps(session, masks)) > 0.7


def test_small_errors_of_where_it_should_be_do_not_add_up() -> None:
    """What is thought of a cell that stays is drawn to its mask."""
    images, masks = jumping(frames=2)
    session, engine = VideoSession.open(images), predictor()
    session.add(MaskPrompt(1, 0, masks[0]))
    list(engine.propagate(session, PropagateOptions(direction="forward")))
    bank = session.objects[1].bank
    y, x = center_of(session.masklets.record(1, 1))
    bank.push(1, replace(bank.get(1), center=(y + 10, x - 10)))
    (place,) = expect(session, [1], (0, -1)).values()
    assert place.moved == (0, 0)
    assert 9 < place.center[0] - y < 10
    assert -10 < place.center[1] - x < -9


def test_further_clicks_on_a_frame_do_not_look_for_it_again(monkeypatch) -> None:
    images, masks = jumping()
    session, engine = VideoSession.open(images), predictor()
    session.add(MaskPrompt(1, 0, masks[0]))
    list(engine.propagate(session, PropagateOptions(direction="forward")))
    looks = []
    monkeypatch.setattr(motion, "find_all", lambda *a: looks.append(a) or find_all(*a))
    y, x = center_of(session.masklets.record(1, JUMPS))
    for step in range(3):
        engine.predict_frame(session, PointPrompt(1, JUMPS, (y, x + step)))
    assert len(looks) == 1
    assert overlaps(session, masks)[JUMPS] > 0.7


class CountedFrames(ArrayFrames):
    """Counts how often each frame is read."""

    def __init__(self, array: NDArray[np.uint16]) -> None:
        super().__init__(array)
        self.reads = [0] * len(array)

    def read(self, t: int) -> NDArray[np.uint16]:
        self.reads[t] += 1
        return super().read(t)


def test_no_frame_is_read_twice_for_it() -> None:
    images, masks = jumping(frames=3)
    frames = CountedFrames(images)
    session = VideoSession.open(frames, IntensityMapping.from_percentiles(ArrayFrames(images)))
    session.add(MaskPrompt(1, 0, masks[0]))
    list(predictor().propagate(session, PropagateOptions(direction="forward")))
    # The first one for its prompt, and by the thread that reads ahead.
    assert frames.reads == [2, 1, 1]


def looked_for(then: list[tuple[int, int]], now: list[tuple[int, int]]):
    """Look for cells that are all alike, by their centres on two frames."""
    radius = 14
    frames = (cells(then, radius, 1, contrast=0), cells(now, radius, 2, contrast=0))
    mapping = IntensityMapping.from_percentiles(ArrayFrames(np.stack(frames)))
    records = [MaskRecord.from_mask(disk(at, radius)) for at in then]
    searches = {i: Search.of(*frames, mapping, one) for i, one in enumerate(records)}
    return searches, {i: center_of(one) for i, one in enumerate(records)}


def test_two_cells_are_not_in_one_place() -> None:
    searches, centers = looked_for([(80, 80), (80, 112)], [(52, 80), (80, 104)])
    assert searches[0].found() is None, "the neighbour is as near as where it has gone"
    found = find_all(searches, centers)
    assert np.abs(np.subtract([found[0], found[1]], [(-28, 0), (0, -8)])).max() <= 1
    assert find_all({0: searches[0]}, centers) == {0: (0, 0)}, "alone nobody knows"


def test_a_cell_that_has_gone_is_driven_nowhere() -> None:
    searches, centers = looked_for([(80, 80), (80, 112), (112, 80)], [(80, 108), (108, 80)])
    found = find_all(searches, centers)
    assert found[0] == (0, 0)
    assert np.abs(np.subtract([found[1], found[2]], [(0, -4), (-4, 0)])).max() <= 1
