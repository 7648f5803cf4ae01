"""A person at the dock, replayed: clicks, keys and slider on the controller, each one counted."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.clicks import box_of, corrective_click, innermost_point
from napari_sam2.evaluation.metrics import BoolMask

ATTEMPTS = 3
"""Prompts on one frame before it is left as it is; the last one is a box."""

GOOD = 0.7
"""IoU at which a user who has begun to correct a mask is content: what is remembered is this."""


class ReplayedUser:
    """Works on a movie whose truth it knows, and counts what its hands do.

    A click, a key, a drag and a move of the slider are one action each. Nothing is done that the
    dock has no button, key or mouse for; only the window itself is left out.

    Parameters
    ----------
    images : array, (T, H, W)
    right : float
        IoU from which on a mask is right.
    """

    def __init__(self, images: NDArray[Any], right: float) -> None:
        settings = tempfile.mkdtemp(prefix="napari-sam2-bench-")
        os.environ.setdefault("NAPARI_CONFIG", f"{settings}/settings.yaml")
        from napari.components import ViewerModel

        from napari_sam2.widgets.controller import SegmentationController

        self.actions: Counter[str] = Counter()
        self.phase = "open"
        self._right = right
        self._viewer = ViewerModel()
        self.controller = SegmentationController(self._viewer, wake=lambda: None)
        self.controller.set_image(self._viewer.add_image(images))
        self._told: list[str] = []
        self.controller.events.status_changed.connect(lambda news: self._told.append(news.text))
        self.controller.load_model("bundled")
        self._until(lambda: any("is ready" in text for text in self._told))

    def close(self) -> None:
        """End the worker."""
        self.controller.close()

    def begin(self, frame: int, truth: BoolMask) -> int:
        """Click a new object on a frame until its mask is right; return its id."""
        self._go(frame)
        if self.controller.objects.is_known:
            self._press(self.controller.new_object)
        object_id = int(self.controller.objects.current)
        self._click(frame, innermost_point(truth))
        if self.agreement(object_id, frame, truth) < self._right:
            self._refine(object_id, frame, truth, ATTEMPTS - 1)
        return object_id

    def run(self) -> None:
        """Track every object through the movie."""
        self._press(lambda: self.controller.propagate("both"))
        self._settle()

    def correct(self, object_id: int, frame: int, truth: BoolMask) -> bool:
        """Make the mask of an object right on a frame; whether that was possible."""
        self._choose(object_id)
        self._go(frame)
        mask = self.mask(object_id, frame)
        attempts = ATTEMPTS
        if not (mask & truth).any():
            if mask.any():
                self._press(self.controller.clear_frame)
            self._click(frame, innermost_point(truth))
            attempts -= 1
        self._refine(object_id, frame, truth, attempts)
        return self.agreement(object_id, frame, truth) >= self._right

    def divide(
        self, mother: int, born: int, frame: int, daughters: tuple[BoolMask, BoolMask]
    ) -> tuple[list[int], bool]:
        """Divide an object; return its daughters, in order, and whether that was proposed.

        Parameters
        ----------
        mother : int
        born : int
            First frame of the daughters.
        frame : int
            Frame from then on on which both are known.
        daughters : tuple of bool array (H, W)
            The daughters there.
        """
        before = set(self.controller._movie.document.object_ids)
        found = [
            one
            for one in self.controller.divisions.proposals
            if one.mother == mother and born - 1 <= one.frame <= born + 1
        ]
        if found:
            self.actions[self.phase] += 1  # a click on the proposal in the list
            self.controller.divisions.choose(found[0])
            self._press(self.controller.divisions.accept)
            fresh = [*found[0].daughters]
        else:
            self._go(frame)
            # D if the mother is in work, else Control, Shift and a click on her mask.
            self._press(lambda: self.controller.divisions.begin(mother))
            for truth in daughters:
                self._click(frame, innermost_point(truth))
            fresh = []
        self._settle()
        fresh += sorted(set(self.controller._movie.document.object_ids) - before - {*fresh})
        shared = [[(self.mask(i, frame) & truth).sum() for truth in daughters] for i in fresh]
        if len(fresh) == 2 and shared[0][1] + shared[1][0] > shared[0][0] + shared[1][1]:
            fresh.reverse()
        return fresh, bool(found)

    def cut(self, object_id: int, frame: int) -> None:
        """Let an object that is gone end before a frame."""
        self._choose(object_id)
        self._go(frame)
        self._press(lambda: self.controller.edits.cut(object_id, frame))
        self._settle()

    def mask(self, object_id: int, frame: int) -> BoolMask:
        """Return the mask that is shown, (H, W)."""
        return np.asarray(self.controller.layers.masklets.mask(object_id, frame))

    def agreement(self, object_id: int, frame: int, truth: BoolMask) -> float:
        """Return the IoU of what is shown with the truth."""
        mask = self.mask(object_id, frame)
        union = (mask | truth).sum()
        return float((mask & truth).sum() / union) if union else 1.0

    def _refine(self, object_id: int, frame: int, truth: BoolMask, attempts: int) -> None:
        """Correct what is most wrong until the mask is good."""
        for left in range(attempts, 0, -1):
            mask, reached = self.mask(object_id, frame), self.agreement(object_id, frame, truth)
            # A box is the last resort.
            if reached >= GOOD or (left == 1 and reached >= self._right):
                return
            wanted = corrective_click(mask, truth)
            if left == 1:
                self._box(frame, truth)
            elif wanted is not None:
                self._click(frame, *wanted)

    def _click(self, frame: int, yx: tuple[float, float], is_positive: bool = True) -> None:
        layers = self.controller.layers
        layers.set_next(self.controller.objects.current, is_positive)  # as the mouse button does
        layers.points.add((frame, *yx))
        self.actions[self.phase] += 1
        self._settle()

    def _box(self, frame: int, truth: BoolMask) -> None:
        """Take the box, drag it, and take up the points again."""
        layers, (y0, x0, y1, x1) = self.controller.layers, box_of(truth)
        layers.set_next(self.controller.objects.current, True)
        corners = [(frame, *yx) for yx in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))]
        layers.boxes.add(np.array(corners), shape_type="rectangle")
        self.actions[self.phase] += 3
        self._settle()

    def _choose(self, object_id: int) -> None:
        if self.controller.objects.current != object_id:
            self.actions[self.phase] += 1
            self.controller.objects.select(object_id)

    def _go(self, frame: int) -> None:
        if self.controller.shown_place != frame:
            self.actions[self.phase] += 1
            self._viewer.dims.set_point(0, frame)

    def _press(self, what: Callable[[], object]) -> None:
        self.actions[self.phase] += 1
        what()

    def _settle(self) -> None:
        """Wait until everything is answered and followed up."""
        movie, following = self.controller._movie, self.controller.following
        self._until(
            lambda: (
                not movie._tickets.waiting
                and not following.is_active
                and self.controller.run_state == "idle"
            )
        )

    def _until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 3600
        while not is_so():
            if time.monotonic() > end:
                raise TimeoutError(f"nothing happened for an hour; last: {self._told[-1:]}")
            self.controller.poll()
            time.sleep(0.03)
        self.controller.poll()
