"""Movies of stacks from the first click to the reopened session, with real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.layers._source import layer_source

from napari_sam2.editing.document import Document
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.predictor.options import PropagateOptions
from napari_sam2.prompts import PointPrompt
from napari_sam2.widgets.coordinates import show_frame

GRID = PlaneGrid(3, 5)
SIDE = 64


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    """A bright ball that moves, (T, Z, Y, X)."""
    z, y, x = np.indices((GRID.slices, SIDE, SIDE))
    images = np.random.default_rng(0).normal(200, 12, (GRID.times, GRID.slices, SIDE, SIDE))
    for t in range(GRID.times):
        images[t] += 800 * ((5 * (z - 2)) ** 2 + (y - 24 - 2 * t) ** 2 + (x - 30) ** 2 < 110)
    path = tmp_path / "embryo.tif"
    tifffile.imwrite(path, images.clip(0).astype(np.uint16), metadata={"axes": "TZYX"})
    return path


def opened(make_controller, path: Path, **properties):
    """Open a file as napari's own reader does: without a word about its axes."""
    viewer, controller = make_controller()
    with layer_source(path=str(path)):
        image = viewer.add_image(tifffile.imread(path), name=path.stem, **properties)
    controller.set_image(image)
    return viewer, controller


def masks_of(controller) -> dict[tuple[int, int], MaskRecord]:
    masklets = controller.layers.masklets
    return {(one.object_id, plane): r for one in masklets for plane, r in one.records.items()}


def paint(controller, object_id: int, plane: int, yx: tuple[int, int]) -> None:
    controller.objects.select(object_id)
    show_frame(controller._viewer, controller.image, plane)
    layer = controller.layers.canvas.layer
    layer.brush_size = 12
    layer.paint((*GRID.place(plane), *yx), object_id)
    controller.poll()


def test_a_correction_changes_one_object_and_all_of_it_comes_back(
    make_controller, stack_file, answered, drive
) -> None:
    axes = ("t", "z", "y", "x")
    _, controller = opened(make_controller, stack_file, axis_labels=axes)
    wait = lambda: drive(  # noqa: E731
        controller, lambda: not (controller._is_busy() or controller._movie.may_follow)
    )
    text = answered(controller, lambda: controller.layers.points.add((0, 2, 24, 30)))
    assert text.startswith("Object 1, t 0, z 2: ")
    assert controller.forecast.of(PropagateOptions()).text.startswith("at most 18 masks to track")
    controller.route.along = "z"
    assert controller.forecast.of(PropagateOptions()).masks == GRID.slices
    controller.route.along = "both"
    paint(controller, 2, 2, (50, 12))
    wait()
    controller.propagate()
    drive(controller, lambda: controller.run_state == "idle")
    shown = controller._movie.frame
    assert shown == GRID.plane(2, 2), "the slider follows through time, in the slice of the click"
    assert "about" in controller.forecast.of(PropagateOptions()).text
    before = masks_of(controller)
    drive(controller, lambda: controller.review.refresh() is None)
    assert controller.review.row(1).span == ("t 0, z 0", "t 2, z 4")
    corrected = GRID.plane(1, 2)
    paint(controller, 1, corrected, (10, 50))
    assert controller.edits.undo_title == "paint on t 1, z 2"
    drive(controller, lambda: any("Following up object 1: t" in s.text for s in controller.told))
    wait()
    after = masks_of(controller)
    changed = {place for place in after if after[place] != before.get(place)}
    assert {i for i, _ in changed} == {1}
    assert len(changed) > 1
    assert all(GRID.place(plane)[0] > 0 for _, plane in changed), "time 0 has prompts of its own"
    controller.undo()
    drive(controller, lambda: masks_of(controller) == before)


def test_a_session_comes_back_with_masks_prompts_ids_axes_and_way(
    make_controller, stack_file, answered, drive
) -> None:
    _, controller = opened(make_controller, stack_file)
    assert controller.source.set_axes("TZYX")
    answered(controller, lambda: controller.layers.points.add((0, 2, 24, 30)))
    paint(controller, 5, GRID.plane(1, 3), (50, 12))
    controller.route.go("time", True)
    show_frame(controller._viewer, controller.image, 2)
    controller.propagate()
    drive(controller, lambda: controller.run_state == "idle")
    saver = controller.sessions._savers[controller._movie]
    drive(controller, lambda: saver.is_saved)
    before, prompts = masks_of(controller), controller._movie.document.prompts.all()
    shown = np.array(controller.layers.canvas.layer.data)
    controller.close()
    viewer, again = opened(make_controller, stack_file)
    assert again.source.axes == "TZYX"
    assert masks_of(again).keys() == before.keys()
    np.testing.assert_array_equal(again.layers.canvas.layer.data, shown)
    assert again._movie.document.prompts.all() == prompts
    assert (again.route.along, again.route.only_here) == ("time", True)
    assert again.frames.count == GRID.times
    assert again.new_object() == 6
    # A correction goes the way that the run went, without being told.
    told = len(again.told)
    paint(again, 1, GRID.plane(1, 2), (10, 50))
    drive(again, lambda: any("Followed up" in status.text for status in again.told[told:]))
    changed = {plane for (_, plane), r in masks_of(again).items() if r != before.get((1, plane))}
    assert {GRID.plane(2, 2)} <= changed <= {*GRID.along_time(2), GRID.plane(1, 3)}
    again.close()
    # By its own path, without the movie in the viewer.
    viewer, third = make_controller()
    assert third.sessions.open(stack_file.with_suffix(".sam2")), third.told
    assert third.layers.movie.grid == GRID
    assert viewer.layers[0].data.shape == (3, 5, SIDE, SIDE)
    assert {i for i, _ in masks_of(third)} == {1, 5}


def ball(mask_at: dict[int, list[tuple[int, int, int]]]) -> dict[int, np.ndarray]:
    """Discs (z, y, x) of radius 6 by time, as masks by plane."""
    y, x = np.indices((SIDE, SIDE))
    found: dict[int, np.ndarray] = {}
    for time, discs in mask_at.items():
        for z, cy, cx in discs:
            plane = GRID.plane(time, z)
            disc = (y - cy) ** 2 + (x - cx) ** 2 <= 36
            found[plane] = found.get(plane, np.zeros((SIDE, SIDE), bool)) | disc
    return found


def test_a_division_in_time_is_proposed_and_accepted_on_every_slice(
    make_controller, stack_file, drive
) -> None:
    _, controller = opened(make_controller, stack_file, axis_labels=("t", "z", "y", "x"))
    controller.following.is_automatic = False
    document = Document(MaskletSet(controller.layers.movie.shape), GRID)
    # From time 1 on two daughters, one a slice higher than the other.
    daughters = [(z, 20, 30) for z in (1, 2)] + [(z, 44, 30) for z in (2, 3)]
    masks = ball({0: [(z, 32, 30) for z in (1, 2, 3)], 1: daughters, 2: daughters})
    for plane, mask in masks.items():
        document.masklets.write(1, plane, MaskRecord.from_mask(mask, predicted_iou=0.9))
    document.prompts.add(PointPrompt(1, GRID.plane(0, 2), (32.0, 30.0)))
    controller._movie.adopt(document)
    drive(controller, lambda: bool(controller.divisions.proposals))
    (proposal,) = controller.divisions.proposals
    assert GRID.place(proposal.frame) == (1, 2)
    assert controller.divisions.accept()
    now = controller._movie.document
    assert now.lineage == {2: 1, 3: 1}
    assert now.masklets.frames(1) == (GRID.plane(0, 1), GRID.plane(0, 2), GRID.plane(0, 3))
    born = {i: set(now.masklets.frames(i)) for i in (2, 3)}
    assert sorted(map(sorted, born.values())) == [
        [GRID.plane(1, 1), GRID.plane(1, 2)],
        [GRID.plane(1, 2), GRID.plane(1, 3)],
    ]
    assert all(now.prompts.frames(i) for i in (2, 3))
    assert controller.divisions.proposals == ()
    controller.undo()
    drive(controller, lambda: now.lineage == {})
    assert set(now.masklets.frames(1)) == masks.keys()
    # A person divides at a time, whatever the slice.
    controller.edits.split(1, GRID.plane(1, 2))
    assert now.info(1).last == GRID.plane(1, 0) - 1
    assert controller.edits.undo_title == "split object 1 from t 1 on"
