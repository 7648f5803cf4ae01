"""Movies of stacks: one id along time, along z, or through both, with the network that ships."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.predictor.plane_runs import count_results
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt, PointPrompt

TIMES, SLICES, SIDE = 3, 9, 64
GRID = PlaneGrid(TIMES, SLICES)


def balls() -> tuple[np.ndarray, np.ndarray]:
    """Two bright balls, uint16 (T, Z, Y, X), and their labels; both move, the first in z too."""
    z, y, x = np.indices((SLICES, SIDE, SIDE))
    images = np.random.default_rng(0).normal(200, 15, (TIMES, SLICES, SIDE, SIDE))
    labels = np.zeros(images.shape, np.uint8)
    for t in range(TIMES):
        for number, (cz, cy, cx) in enumerate(((3 + t, 20 + t, 20), (4, 44, 42 - 2 * t)), start=1):
            inside = (3 * (z - cz)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 81
            images[t][inside] += 700
            labels[t][inside] = number
    return images.clip(0).astype(np.uint16), labels


@pytest.fixture(scope="module")
def stacks():
    images, labels = balls()
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


@pytest.fixture(scope="module")
def bundled():
    return VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32"))


def opened(images, *prompts) -> VideoSession:
    session = VideoSession.open(images, axes="TZYX")
    for prompt in prompts:
        session.add(prompt)
    return session


def iou(session: VideoSession, labels: np.ndarray, object_id: int, time: int) -> float:
    found = np.stack([session.masklets.mask(object_id, p) for p in GRID.along_z(time)])
    truth = labels[time] == object_id
    return (found & truth).sum() / (found | truth).sum()


CLICKS = (
    PointPrompt(1, GRID.plane(0, 3), (20, 20)),
    PointPrompt(2, GRID.plane(0, 4), (44, 42)),
)


@pytest.fixture(scope="module")
def run(stacks, bundled):
    """A finished run through time and depth."""
    session = opened(stacks[0], *CLICKS)
    return session, list(bundled.propagate(session))


class TestBoth:
    def test_a_click_on_one_plane_gives_the_cell_in_every_plane_with_one_id(self, run, stacks):
        session, _ = run
        assert session.masklets.object_ids() == (1, 2)
        overlaps = [iou(session, stacks[1], i, t) for i in (1, 2) for t in range(TIMES)]
        assert min(overlaps) > 0.6
        assert np.mean(overlaps) > 0.75

    def test_every_result_is_written_and_counted(self, run):
        session, results = run
        for result in results:
            for one in result.objects:
                assert session.masklets.record(one.object_id, result.frame) is not None
        assert len(results) <= count_results(session, PropagateOptions())

    def test_where_it_is_said_to_be_absent_it_is_not_and_elsewhere_it_is(self, stacks, bundled):
        session = opened(stacks[0], CLICKS[0])
        absent = [GRID.plane(1, 2), GRID.plane(2, 4)]  # at the rim; where it is handed over
        for plane in absent:
            session.add(MaskPrompt(1, plane, np.zeros((SIDE, SIDE), bool)))
        results = list(bundled.propagate(session))
        assert not any(session.masklets.mask(1, plane).any() for plane in absent)
        shown = [r.objects[0].record.visible for r in results if r.frame in absent]
        assert shown, "they are visited"
        assert not any(shown), "nobody is told otherwise"
        assert iou(session, stacks[1], 1, 0) > 0.6
        assert iou(session, stacks[1], 1, 1) > 0.6
        assert any(session.masklets.mask(1, p).any() for p in GRID.along_z(2))

    def test_at_a_time_at_which_no_plane_shows_it_it_is_gone(self, stacks, bundled):
        session = opened(stacks[0], CLICKS[0])
        for plane in GRID.along_z(1):
            session.add(MaskPrompt(1, plane, np.zeros((SIDE, SIDE), bool)))
        list(bundled.propagate(session))
        assert not any(session.masklets.mask(1, p).any() for p in GRID.along_z(1))

    def test_backward_comes_to_the_same_cells(self, stacks, bundled):
        session = opened(stacks[0], PointPrompt(1, GRID.plane(2, 5), (22, 20)))
        list(bundled.propagate(session, PropagateOptions(direction="backward", start=1)))
        assert min(iou(session, stacks[1], 1, t) for t in (1, 2)) > 0.6
        assert all(GRID.place(plane)[0] > 0 for plane in session.masklets.frames(1))

    def test_what_is_there_stays_when_a_run_goes_on(self, run, stacks, bundled):
        session, _ = run
        before = {plane: session.masklets.record(1, plane) for plane in session.masklets.frames(1)}
        list(bundled.propagate(session, PropagateOptions(resume=True)))
        assert {p: session.masklets.record(1, p) for p in session.masklets.frames(1)} == before


class TestLines:
    def test_along_time_one_slice_is_read(self, stacks, bundled):
        read = set()

        def plane(block_info=None):
            t, z, *_ = block_info[None]["chunk-location"]
            read.add((t, z))
            return stacks[0][t : t + 1, z : z + 1]

        chunks = ((1,) * TIMES, (1,) * SLICES, (SIDE,), (SIDE,))
        lazy = da.map_blocks(plane, chunks=chunks, dtype=np.uint16, meta=np.zeros((0,) * 4, "u2"))
        mapping = opened(stacks[0]).mapping
        session = VideoSession.open(lazy, mapping, axes="TZYX")
        session.add(CLICKS[1])
        options = PropagateOptions(along="time")
        results = list(bundled.propagate(session, options))
        assert len(results) == count_results(session, options) == TIMES
        assert read == {(t, 4) for t in range(TIMES)}
        assert session.masklets.frames(2) == tuple(GRID.along_time(4))
        for t, plane_number in enumerate(GRID.along_time(4)):
            truth = stacks[1][t, 4] == 2
            found = session.masklets.mask(2, plane_number)
            assert (found & truth).sum() / (found | truth).sum() > 0.7

    def test_along_z_one_time_is_tracked_and_the_object_ends(self, stacks, bundled):
        session = opened(stacks[0], *CLICKS)
        list(bundled.propagate(session, PropagateOptions(along="z")))
        assert {GRID.place(p)[0] for p in session.masklets.frames(1)} == {0}
        assert iou(session, stacks[1], 1, 0) > 0.6

    def test_a_line_of_choice_starts_from_the_masks_that_are_there(self, stacks, bundled):
        session = opened(stacks[0], CLICKS[1])
        list(bundled.propagate(session, PropagateOptions(along="time")))
        before = session.masklets.record(2, GRID.plane(1, 4))
        list(bundled.propagate(session, PropagateOptions(along="z", at=1)))
        assert iou(session, stacks[1], 2, 1) > 0.6
        assert session.masklets.record(2, GRID.plane(1, 4)) == before
        assert session.masklets.record(2, GRID.plane(2, 5)) is None

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (PropagateOptions(along="z", at=3), "time 3 is outside .* times 0 to 2"),
            (PropagateOptions(along="time", at=9), "slice 9 is outside .* slices 0 to 8"),
            (PropagateOptions(along="z", at=2), "no object .* at time 2: click one there"),
            (PropagateOptions(objects=(7,)), "object 7 has no prompts"),
            (PropagateOptions(start=2, stop=3), "times 2 to 3 are no range"),
        ],
    )
    def test_what_cannot_be_run_is_said(self, stacks, predictor, options, message):
        session = opened(stacks[0], CLICKS[0])
        with pytest.raises(ValueError, match=message):
            list(predictor.propagate(session, options))


class TestWhatStays:
    def test_locked_planes_and_objects(self, stacks, predictor):
        session = opened(stacks[0], *CLICKS)
        kept = MaskPrompt(1, 0, stacks[1][1, 4] == 1)
        list(predictor.propagate(session))
        plane = GRID.plane(1, 4)
        session.masklets.write(1, plane, session.masklets.record(1, plane).from_mask(kept.mask))
        session.locks.add(1, [plane])
        session.locks.add(2)
        before = {p: session.masklets.record(2, p) for p in session.masklets.frames(2)}
        locked = session.masklets.record(1, plane)
        list(predictor.propagate(session))
        assert session.masklets.record(1, plane) == locked
        assert {p: session.masklets.record(2, p) for p in session.masklets.frames(2)} == before

    def test_a_prompt_given_during_a_run_counts(self, stacks, predictor):
        session = opened(stacks[0], CLICKS[0])
        run = predictor.propagate(session, PropagateOptions(along="time"))
        next(run)
        later = GRID.plane(2, 3)
        session.add(PointPrompt(1, later, (22, 20)))
        list(run)
        assert session.masklets.record(1, later).prompted

    def test_masks_beyond_the_end_of_an_object_are_emptied(self, stacks, bundled):
        session = opened(stacks[0], CLICKS[0])
        far = GRID.plane(0, 8)
        record = session.masklets.record
        disc = np.zeros((SIDE, SIDE), bool)
        disc[18:22, 18:22] = True
        session.masklets.write(1, far, MaskRecord.from_mask(disc))
        list(bundled.propagate(session, PropagateOptions(along="z")))
        assert not record(1, far).visible


def test_a_line_that_goes_to_another_plane_of_a_time_reads_that_one(stacks) -> None:
    images, _ = stacks
    line = VideoSession.open(images, axes="TZYX").on_line(GRID.along_time(0))
    assert (line.read(1) == images[1, 0]).all()
    line.frames.planes[1] = GRID.plane(1, 4)
    assert (line.read(1) == images[1, 4]).all()
    assert line.frames.grid == PlaneGrid(TIMES)
    through = VideoSession.open(images, axes="TZYX").on_line(GRID.along_z(1))
    assert through.frames.grid == PlaneGrid(1, SLICES)
