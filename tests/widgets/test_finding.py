"""Objects found from the dock: newcomers only, cancelled, taken back, on real pixels."""

from __future__ import annotations

import numpy as np
import pytest

CENTRES = ((22, 24), (30, 74), (74, 40))
FRAMES = 4


def _disk(yx, radius=9):
    y, x = np.indices((100, 104))
    return (y - yx[0]) ** 2 + (x - yx[1]) ** 2 <= radius**2


@pytest.fixture(scope="module")
def disks() -> np.ndarray:
    """Four frames of three bright disks that drift."""
    frames = np.random.default_rng(0).normal(200, 12, (FRAMES, 100, 104))
    for t in range(FRAMES):
        for y, x in CENTRES:
            frames[t][_disk((y + t, x))] += 700
    return frames.clip(0).astype(np.uint16)


@pytest.fixture
def finding(make_controller, trained_network, disks):
    """A controller on the disks, with the network that ships."""
    return make_controller(disks, network=trained_network)[1]


FIND = {"diameter": 19, "spacing": 0.7}


def _labels(controller, frame):
    return controller._movie.document.masklets.labels(frame)


def _run(controller, drive, **options):
    assert controller.finding.find(**FIND, **options)
    drive(controller, lambda: controller.run_state == "idle", 180)


def test_newcomers_are_found_on_all_frames_and_one_undo_takes_them_back(finding, drive):
    document = finding._movie.document
    # The first disk is known already, with a smaller mask and locked: nobody touches it.
    finding.layers.canvas.layer.selected_label = 1
    finding._movie._take_outline(_small_mask(), True)
    drive(finding, lambda: any(one.text.startswith("Object 1, frame 0") for one in finding.told))
    finding.edits.lock(1)
    before = document.masklets.record(1, 0)
    _run(finding, drive, everywhere=True, every=2)
    assert finding.finding.count >= 2
    assert document.masklets.record(1, 0) == before
    for t in range(1, FRAMES):
        found = {int(_labels(finding, t)[y + t, x]) for y, x in CENTRES[1:]}
        assert len(found) == 2
        assert not found & {0, 1}
    assert finding.edits.undo_title == "find objects"
    assert all(document.prompts.frames(i) for i in document.object_ids)
    finding.undo()
    drive(finding, lambda: document.object_ids == (1,))
    assert document.masklets.frames(1) == (0,)
    finding.redo()
    drive(finding, lambda: len(document.object_ids) > 2)


def _small_mask():
    from napari_sam2.prompts import MaskPrompt

    return MaskPrompt(1, 0, _disk(CENTRES[0], 7))


def test_this_frame_only_and_again_finds_nothing_new(finding, drive):
    _run(finding, drive)
    document, here = finding._movie.document, finding.shown_place
    assert finding.finding.count == 3
    assert finding.told[-1].text.startswith("Done: 3 objects found")
    assert {document.masklets.frames(i) for i in document.object_ids} == {(here,)}
    shown = finding.layers.canvas.layer.data[here]
    assert np.array_equal(np.asarray(shown), _labels(finding, here))
    _run(finding, drive)
    assert finding.finding.count == 0
    assert len(document.object_ids) == 3
    finding.propagate("forward")
    drive(finding, lambda: finding.run_state == "idle", 180)
    for y, x in CENTRES:
        assert _labels(finding, 3)[y + 3, x] == _labels(finding, here)[y + here, x] > 0


def test_a_search_that_is_cancelled_keeps_what_it_has_found(
    make_controller, trained_network, disks, drive
):
    # Long enough that no machine is done before it hears of the cancelling.
    _, finding = make_controller(np.concatenate([disks] * 10), network=trained_network)
    finding.finding.find(everywhere=True, every=1, **FIND)
    drive(finding, lambda: finding._movie.document.object_ids != (), 180)
    finding.cancel()
    drive(finding, lambda: finding.run_state == "idle", 60)
    assert finding.told[-1].text.startswith("Cancelled: 3 objects found")
    assert len(finding._movie.document.object_ids) == 3


def test_a_wrong_option_is_told(make_controller, disks):
    _, controller = make_controller(disks)
    assert not controller.finding.find(diameter=1)
    assert "Diameter is 1" in controller.told[-1].text
    assert not controller.finding.find(everywhere=True, start=2, stop=9)
    assert "the movie has 0 to 3" in controller.told[-1].text
    assert not controller.finding.find(cells=3)
    assert controller.run_state == "idle"
