"""Corrections that are followed up, on a real viewer model with the network that ships."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.editing.change import Change
from napari_sam2.masklets import MaskRecord
from napari_sam2.widgets.coordinates import show_frame
from napari_sam2.widgets.messages import FollowedUp

SPOILT = (5, 6, 7)


FRAMES, SIDE, RADIUS = 12, 96, 9


def middle(cell: int, frame: int) -> tuple[int, int, int]:
    """Frame, y and x of the middle of cell 1 or 2; they drift past each other."""
    return (frame, 28, 30 + 2 * frame) if cell == 1 else (frame, 68, 60 - frame)


def disk(cell: int, frame: int) -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE))
    _, y, x = middle(cell, frame)
    return (rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    """Two bright cells that move."""
    images = np.random.default_rng(0).normal(200, 12, (FRAMES, SIDE, SIDE))
    for frame in range(FRAMES):
        for cell in (1, 2):
            images[frame] += 900 * disk(cell, frame)
    return images.astype(np.uint16)


@pytest.fixture
def tracked(make_controller, trained_network, cells, drive, answered):
    """Two cells, clicked and tracked; the first went astray on three frames."""
    _, controller = make_controller(cells, network=trained_network)
    for cell in (1, 2):
        controller.objects.select(cell)
        answered(controller, lambda cell=cell: controller.layers.points.add(middle(cell, 0)))
    controller.propagate("forward")
    drive(controller, lambda: controller.run_state == "idle")
    spoil(controller, SPOILT)
    controller.objects.select(1)
    return controller


def spoil(controller, frames) -> None:
    """Put masks of object 1 where it is not, as a run that lost it would."""
    wrong = np.zeros((96, 96), bool)
    wrong[80:92, 80:92] = True
    masklets = controller.layers.masklets
    masks = {(1, t): (masklets.record(1, t), MaskRecord.from_mask(wrong)) for t in frames}
    controller._movie.perform(Change("spoil", masks))


def shown(controller) -> np.ndarray:
    return np.array(controller.layers.canvas.layer.data)


def click(controller, place, answered) -> None:
    show_frame(controller._viewer, controller.image, place[0])
    answered(controller, lambda: controller.layers.points.add(place))


def settle(controller, drive) -> None:
    """Wait until nothing is computed any more, and the engine agrees with what is shown."""
    drive(controller, lambda: not controller.following.is_active)
    found = []
    session = controller._engine._session
    controller._worker.submit(lambda: found.append(session.masklets.to_labels()))
    drive(controller, lambda: found)
    np.testing.assert_array_equal(found[0], shown(controller))


def overlap(controller, frame: int) -> float:
    """IoU of object 1 with its cell."""
    mask, truth = shown(controller)[frame] == 1, disk(1, frame)
    return float((mask & truth).sum() / (mask | truth).sum())


def test_a_click_on_a_tracked_frame_mends_what_is_around_it(tracked, drive, answered) -> None:
    before = shown(tracked)
    texts = [*tracked.told]
    click(tracked, middle(1, 6), answered)
    at_once = shown(tracked)
    assert (at_once[6] != before[6]).any(), "the frame itself changes at once"
    settle(tracked, drive)
    assert any("Followed up" in one.text for one in tracked.told[len(texts) :])
    after = shown(tracked)
    for frame in SPOILT:
        assert overlap(tracked, frame) > 0.5
    np.testing.assert_array_equal(after == 2, before == 2)
    assert tracked.edits.undo_title == "click on object 1, frame 6"
    tracked.undo()
    np.testing.assert_array_equal(shown(tracked), before)
    settle(tracked, drive)
    tracked.redo()
    np.testing.assert_array_equal(shown(tracked), after)


def test_a_stroke_is_followed_up_too(tracked, drive, answered) -> None:
    layer = tracked.layers.canvas.layer
    place = middle(1, 6)
    show_frame(tracked._viewer, tracked.image, 6)
    layer.brush_size = 30
    layer.paint((6, 86, 86), 0)
    layer.brush_size = 2 * RADIUS
    answered(tracked, lambda: layer.paint(place, 1))
    settle(tracked, drive)
    assert overlap(tracked, 5) > 0.5
    assert overlap(tracked, 7) > 0.5


def test_follow_up_waits_for_its_button_where_it_is_off(tracked, drive, answered) -> None:
    tracked.following.is_automatic = False
    before = shown(tracked)
    click(tracked, middle(1, 6), answered)
    settle(tracked, drive)
    others = [t for t in range(12) if t != 6]
    np.testing.assert_array_equal(shown(tracked)[others], before[others])
    tracked.following.apply()
    settle(tracked, drive)
    assert all(overlap(tracked, frame) > 0.5 for frame in SPOILT)
    tracked.undo()
    np.testing.assert_array_equal(shown(tracked), before)


def test_what_is_locked_or_accepted_stays(tracked, drive, answered) -> None:
    tracked.edits.lock(1, [7])
    tracked.edits.review(2, "accepted")
    before = shown(tracked)
    click(tracked, middle(1, 6), answered)
    settle(tracked, drive)
    after = shown(tracked)
    np.testing.assert_array_equal(after[7], before[7])
    np.testing.assert_array_equal(after == 2, before == 2)
    assert (after[5] != before[5]).any()


def followed(controller) -> list[int]:
    """Note the frames that follow-ups compute from now on."""
    frames: list[int] = []
    take = controller._inbox.receive

    def receive(message) -> None:
        if isinstance(message, FollowedUp):
            frames.append(message.result.frame)
        take(message)

    controller._inbox.receive = receive
    return frames


def test_the_next_click_comes_first_and_nothing_is_lost(tracked, drive, answered) -> None:
    spoil(tracked, range(1, 12))
    frames = followed(tracked)
    click(tracked, middle(1, 6), answered)
    drive(tracked, lambda: len(frames) >= 1)
    begun = len(frames)
    tracked.objects.select(2)
    click(tracked, middle(2, 9), answered)
    assert len(frames) <= begun + 2, "a click waits for one frame"
    settle(tracked, drive)
    assert set(range(1, 12)) - {6} <= set(frames)
    assert all(overlap(tracked, frame) > 0.5 for frame in range(1, 12))


def test_undo_in_the_middle_takes_back_what_has_followed_and_what_would(
    tracked, drive, answered
) -> None:
    spoil(tracked, range(1, 12))
    before = shown(tracked)
    frames = followed(tracked)
    click(tracked, middle(1, 6), answered)
    drive(tracked, lambda: len(frames) >= 2)
    tracked.undo()
    drive(tracked, lambda: len(tracked.layers.points.data) == 2)
    settle(tracked, drive)
    np.testing.assert_array_equal(shown(tracked), before)
    assert len(frames) < 10


def test_a_correction_while_a_run_is_held(
    make_controller, trained_network, cells, drive, answered
) -> None:
    _, controller = make_controller(np.concatenate([cells, cells[::-1]]), network=trained_network)
    answered(controller, lambda: controller.layers.points.add(middle(1, 0)))
    done = []
    controller.events.progressed.connect(done.append)
    controller.propagate("forward")
    drive(controller, lambda: len(done) >= 9)
    controller.pause()
    spoil(controller, SPOILT)
    click(controller, middle(1, 6), answered)
    drive(controller, lambda: not controller.following.is_active)
    assert controller.run_state == "paused"
    assert all(overlap(controller, frame) > 0.5 for frame in SPOILT)
    mended = shown(controller)[:9]
    controller.resume()
    drive(controller, lambda: controller.run_state == "idle")
    np.testing.assert_array_equal(shown(controller)[:9], mended)
    assert controller.layers.masklets.frames(1) == tuple(range(24))
    assert done[-1].work == done[-1].work_total


def test_the_time_of_a_run_is_expected_from_the_last_one(tracked) -> None:
    from napari_sam2.predictor.options import PropagateOptions

    expected = tracked.forecast.of(PropagateOptions())
    masks, seconds = expected.masks, expected.seconds
    assert masks == 2 * 11
    assert tracked.pace.is_measured
    assert seconds == pytest.approx(22 * tracked.pace.seconds)
    assert tracked.forecast.of(PropagateOptions((2,), "forward", 4, 7)).masks == 4
    tracked.edits.review(2, "accepted")
    assert tracked.forecast.of(PropagateOptions()).masks == 11
    assert tracked.forecast.of(PropagateOptions(resume=True)).masks == 0
