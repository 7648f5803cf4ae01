"""Divisions by two clicks and by proposal, on a real viewer model with the network that ships."""

from __future__ import annotations

import numpy as np
import pytest
from tests import dividing_cell

from napari_sam2.prompts import MaskPrompt, PointPrompt
from napari_sam2.widgets.coordinates import show_frame

FRAMES, SIDE, BIRTH = 10, 96, 5
RADIUS = 9


def centres(frame: int) -> list[tuple[float, float]]:
    """Where the cell, or from `BIRTH` on its daughters, is."""
    if frame < BIRTH:
        return [(48.0, 48.0)]
    apart = 13 + 2 * (frame - BIRTH)
    return [(48.0 - apart, 48.0), (48.0 + apart, 48.0)]


@pytest.fixture(scope="module")
def dividing() -> np.ndarray:
    """A bright cell that divides on frame 5."""
    rows, columns = np.indices((SIDE, SIDE))
    noise = np.random.default_rng(0).normal(200, 12, (FRAMES, SIDE, SIDE))
    for frame in range(FRAMES):
        for y, x in centres(frame):
            noise[frame] += 900 * ((rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2)
    return noise.astype(np.uint16)


def paint(controller, object_id: int, frame: int, yx: tuple[float, float]) -> None:
    """Paint the cell, as a user with a brush does."""
    controller.objects.select(object_id)
    show_frame(controller._viewer, controller.image, frame)
    layer = controller.layers.canvas.layer
    layer.brush_size = 2 * RADIUS
    layer.paint((frame, *map(int, yx)), object_id)
    controller.poll()


@pytest.fixture
def tracked(make_controller, trained_network, dividing, drive):
    """The cell, painted and tracked to the end."""
    _, controller = make_controller(dividing, network=trained_network)
    paint(controller, 1, 0, centres(0)[0])
    controller.propagate("forward")
    drive(controller, lambda: controller.run_state == "idle")
    return controller


def shown(controller) -> np.ndarray:
    return np.array(controller.layers.canvas.layer.data)


def settle(controller, drive) -> None:
    """Wait until nothing is computed any more, and the engine agrees with what is shown."""
    drive(controller, lambda: not controller.following.is_active)
    found = []
    session = controller._engine._session
    controller._worker.submit(lambda: found.append(session.masklets.to_labels()))
    drive(controller, lambda: found)
    np.testing.assert_array_equal(found[0], shown(controller))


def click(controller, frame: int, yx: tuple[float, float]) -> None:
    show_frame(controller._viewer, controller.image, frame)
    controller.layers.set_next(controller.objects.current, True)  # as a press of the mouse does
    controller.layers.points.add((frame, *yx))


def check_family(controller, drive, daughters=(2, 3), birth: int = BIRTH) -> None:
    """The mother has ended, and each daughter is where it should be on every later frame."""
    labels = shown(controller)
    assert set(np.unique(labels[:birth])) == {0, 1}
    assert set(np.unique(labels[birth:])) == {0, *daughters}
    for frame in range(birth, FRAMES):
        owners = {int(labels[frame, int(y), int(x)]) for y, x in centres(frame)}
        assert owners == set(daughters), f"frame {frame}"
    lines = controller.layers._lines
    drive(controller, lambda: set(lines.layer.graph) == set(daughters))
    assert all(list(mothers) == [1] for mothers in lines.layer.graph.values())


def test_two_clicks_divide_a_cell_and_one_undo_takes_it_back(tracked, drive) -> None:
    before = shown(tracked)
    actions = 0
    show_frame(tracked._viewer, tracked.image, BIRTH)
    actions += 1
    tracked.divisions.begin()
    actions += 1
    for yx in centres(BIRTH):
        click(tracked, BIRTH, yx)
        actions += 1
    assert actions <= 4
    assert not tracked.divisions.is_asking
    settle(tracked, drive)
    check_family(tracked, drive)
    assert tracked.edits.undo_title == "divide object 1"
    after = shown(tracked)
    tracked.undo()
    settle(tracked, drive)
    np.testing.assert_array_equal(shown(tracked), before)
    assert len(tracked.layers.points.data) == 0
    lines = tracked.layers._lines
    drive(tracked, lambda: not lines.layer.graph)
    tracked.redo()
    settle(tracked, drive)
    np.testing.assert_array_equal(shown(tracked), after)


def test_no_later_run_brings_the_mother_back(tracked, drive) -> None:
    tracked.divisions.begin()
    for yx in centres(BIRTH):
        click(tracked, BIRTH, yx)
    settle(tracked, drive)
    tracked.propagate("both")
    drive(tracked, lambda: tracked.run_state == "idle")
    check_family(tracked, drive)
    told = len(tracked.told)
    tracked.objects.select(1)
    click(tracked, BIRTH + 1, centres(BIRTH + 1)[0])
    assert "has divided after frame 4" in tracked.told[told].text
    drive(tracked, lambda: len(tracked.layers.points.data) == 2)


def test_a_gesture_that_is_given_up_changes_nothing(tracked, drive) -> None:
    before, step = shown(tracked), tracked.edits.undo_title
    tracked.divisions.begin()
    tracked.divisions.begin()
    assert tracked.objects.current == 1
    tracked.new_object()
    tracked.divisions.begin(1)  # another one than that in work
    assert tracked.divisions.is_asking
    tracked.divisions.begin()
    assert tracked.objects.current == 1
    np.testing.assert_array_equal(shown(tracked), before)
    tracked.divisions.begin()
    click(tracked, BIRTH, centres(BIRTH)[0])
    tracked.undo()  # after the first of two clicks
    drive(tracked, lambda: tracked.edits.undo_title == step)
    settle(tracked, drive)
    np.testing.assert_array_equal(shown(tracked), before)
    assert not tracked.divisions.is_asking


def test_a_mother_is_needed(tracked) -> None:
    tracked.objects.new()
    tracked.divisions.begin()
    assert not tracked.divisions.is_asking
    assert tracked.told[-1].text.startswith("Choose the mother first")


def split_by_hand(controller, drive) -> None:
    """Give the mother both daughters from `BIRTH` on, as a run that does not let go does."""
    from napari_sam2.editing.change import Change
    from napari_sam2.masklets import MaskRecord

    rows, columns = np.indices((SIDE, SIDE))
    masks = {}
    for frame in range(1, FRAMES):
        disks = [(rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2 for y, x in centres(frame)]
        record = MaskRecord.from_mask(np.any(disks, axis=0))
        masks[1, frame] = controller.layers.masklets.record(1, frame), record
    controller._movie.perform(Change("split", masks))
    # The masks that were tracked may have been proposed already, and otherwise.
    drive(
        controller,
        lambda: any(
            one.confidence > 0.8 and not one.places for one in controller.divisions.proposals
        ),
    )


def test_a_proposal_is_accepted_with_one_action(tracked, drive) -> None:
    split_by_hand(tracked, drive)
    (proposal,) = tracked.divisions.proposals
    assert (proposal.mother, proposal.frame) == (1, BIRTH)
    assert proposal.confidence > 0.8
    before = shown(tracked)
    tracked.divisions.go_to_next()
    said = f"Object 1 seems to divide at frame {BIRTH}: Enter accepts"
    assert tracked.told[-1].text.startswith(said)
    assert tracked.shown_place == BIRTH
    assert tracked.divisions.accept()  # two actions, at most four
    prompts = tracked._movie.document.prompts
    assert [type(one) for i in (2, 3) for one in prompts.on(i, BIRTH)] == [MaskPrompt] * 2
    assert tracked.divisions.proposals == ()
    settle(tracked, drive)
    check_family(tracked, drive)
    tracked.undo()
    settle(tracked, drive)
    np.testing.assert_array_equal(shown(tracked), before)
    drive(tracked, lambda: bool(tracked.divisions.proposals))
    assert [(one.mother, one.frame) for one in tracked.divisions.proposals] == [(1, BIRTH)]
    tracked.divisions.dismiss()
    assert tracked.divisions.proposals == ()
    assert not tracked.divisions.accept()
    assert tracked.told[-1].text == "No division is proposed"


def test_daughters_are_not_tracked_on_where_follow_up_is_off(tracked, drive) -> None:
    tracked.following.is_automatic = False
    split_by_hand(tracked, drive)
    tracked.divisions.accept()
    settle(tracked, drive)
    masklets = tracked.layers.masklets
    assert masklets.frames(2) == masklets.frames(3) == (BIRTH,)


def test_a_division_while_a_run_is_held(make_controller, trained_network, dividing, drive) -> None:
    _, controller = make_controller(dividing, network=trained_network)
    paint(controller, 1, 0, centres(0)[0])
    done = []
    controller.events.progressed.connect(done.append)
    controller.propagate("forward")
    drive(controller, lambda: len(done) >= BIRTH + 2)
    controller.pause()
    controller.divisions.begin()
    for yx in centres(BIRTH):
        click(controller, BIRTH, yx)
    drive(controller, lambda: not controller.following.is_active)
    controller.resume()
    drive(controller, lambda: controller.run_state == "idle")
    settle(controller, drive)
    check_family(controller, drive)


def test_daughters_of_what_a_run_has_ended_are_taken_on_once(
    make_controller, trained_network, drive
) -> None:
    """One click on the first frame is enough for a mother and both daughters."""
    _, controller = make_controller(dividing_cell.movie(), network=trained_network)
    controller.divisions.is_automatic = True
    click(controller, 0, (64.0, 64.0))
    controller.propagate("forward")
    drive(controller, lambda: controller._movie.document.lineage == {2: 1, 3: 1})
    settle(controller, drive)
    labels = shown(controller)
    assert set(np.unique(labels[: dividing_cell.DIVIDES])) == {0, 1}
    for frame in range(dividing_cell.DIVIDES, dividing_cell.FRAMES):
        assert {int(labels[frame, 64, x]) for x in (79, 49)} == {2, 3}, f"frame {frame}"
        assert not (labels[frame] == 1).any()
    prompts = controller._movie.document.prompts
    born = dividing_cell.DIVIDES
    for daughter in (2, 3):
        # Again a frame later, where they lie farther apart.
        assert prompts.frames(daughter) == (born, born + 1)
        for frame in (born, born + 1):
            here, sister = prompts.on(daughter, frame)
            assert isinstance(here, PointPrompt), "a click, which a person may move or add to"
            assert (here.positive, sister.positive) == (True, False)
            y, x = (round(value) for value in here.yx)
            assert labels[frame, y, x] == daughter, "the same one, not her sister"
    controller.undo()
    settle(controller, drive)
    drive(controller, lambda: bool(controller.divisions.proposals))
    assert controller._movie.document.lineage == {}
    assert not shown(controller)[dividing_cell.DIVIDES :].any()
    (proposal,) = controller.divisions.proposals
    assert (proposal.mother, proposal.frame) == (1, dividing_cell.DIVIDES)
    controller.divisions.choose(proposal)
    assert controller.divisions.accept()
    settle(controller, drive)
    assert set(np.unique(shown(controller)[-1])) == {0, *controller._movie.document.lineage}


def test_a_cell_that_was_ended_wrongly_is_followed_on_from_a_click(
    make_controller, trained_network, drive
) -> None:
    _, controller = make_controller(dividing_cell.movie(), network=trained_network)
    click(controller, 0, (64.0, 64.0))
    controller.propagate("forward")
    drive(controller, lambda: bool(controller.divisions.proposals))
    drive(controller, lambda: controller.run_state == "idle")
    born = dividing_cell.DIVIDES
    assert not (shown(controller)[born:] == 1).any()
    controller.divisions.dismiss()
    told = f"Object 1 does not divide at frame {born}: click it there, or later, and it is followed"
    assert controller.told[-1].text.startswith(told)
    controller.objects.select(1)
    click(controller, born, (64.0, 79.0))
    drive(controller, lambda: bool((shown(controller)[-1] == 1).any()))
    settle(controller, drive)
    assert all(shown(controller)[frame, 64, 79] == 1 for frame in range(born, born + 3))
