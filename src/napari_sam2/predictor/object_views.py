"""The views that objects of a session are seen in: at the start of a run, and on each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_sam2.predictor.motion import Expected
from napari_sam2.predictor.run_plan import Run
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.view_planner import BoundingBox, ViewPlanner

__all__ = ["share_views", "views_on"]


def share_views(session: VideoSession, planner: ViewPlanner, run: Run) -> None:
    """Let objects that start a run together be seen in as few views as possible.

    One that goes on where an earlier run stopped stays in the view that it was last seen in, as
    if there had been no stop.
    """
    boxes = {}
    for object_id, anchor in run.anchors.items():
        if anchor + run.step in run.skipped.get(object_id, ()):
            continue
        record = session.masklets.record(object_id, anchor)
        if record is not None and record.visible:
            boxes[object_id] = (record.bbox, session.objects[object_id].view)
    for object_id, view in planner.shared_views(boxes).items():
        session.objects[object_id].view = view


def views_on(
    session: VideoSession,
    planner: ViewPlanner,
    place: tuple[int, int],
    objects: Sequence[int],
    expected: Mapping[int, Expected],
) -> dict[int, View]:
    """Choose the views in which objects are looked for on a frame, and note them.

    Parameters
    ----------
    session : VideoSession
    planner : ViewPlanner
    place : tuple of int
        Frame, and direction of travel (1 or -1).
    objects : sequence of int
    expected : mapping of int to Expected
        Where objects should be; those left out should be where they were.

    Returns
    -------
    dict
        Object id to its view.
    """
    frame, step = place
    boxes = {}
    for object_id in objects:
        state = session.objects[object_id]
        before = session.masklets.record(object_id, frame - step)
        if before is None:
            nearest = min(state.bank.prompted, key=lambda f: abs(f - frame))
            before = session.masklets.record(object_id, nearest)
        box = None
        if before is not None and before.visible:
            moved = expected[object_id].moved if object_id in expected else (0, 0)
            box = _moved(before.bbox, moved, (session.shape[1], session.shape[2]))
        boxes[object_id] = (box, state.view)
    views = planner.views_of(boxes)
    for object_id, view in views.items():
        session.objects[object_id].view = view
    return views


def _moved(bbox: BoundingBox, by: tuple[int, int], frame_shape: tuple[int, int]) -> BoundingBox:
    """Return a moved box, as far as it lies in the frame, and at least a pixel there."""
    y0, x0, y1, x1 = bbox
    (down, right), (height, width) = by, frame_shape
    top, left = min(max(y0 + down, 0), height - 1), min(max(x0 + right, 0), width - 1)
    return top, left, max(min(y1 + down, height), top + 1), max(min(x1 + right, width), left + 1)
