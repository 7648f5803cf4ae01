"""A search for objects in progress, on the worker's thread, beside the session of the movie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from napari_sam2.prompts import MaskPrompt
from napari_sam2.widgets import messages

if TYPE_CHECKING:
    from napari_sam2.masklets import MaskRecord
    from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import Prompt

_PAUSE = 1.0
"""Seconds between two reports: the window and the session take each of them over as an edit."""


@dataclass(frozen=True, slots=True)
class SearchOrder:
    """What to search.

    Attributes
    ----------
    planes : tuple of int
        Frames of the movie, in the order of time: all, one, or one slice of a stack.
    find : FindOptions
    options : AutomaticOptions
    """

    planes: tuple[int, ...]
    find: FindOptions
    options: AutomaticOptions


class Search:
    """Finds and follows newcomers in a session of its own; what is known already stays as it is.

    What it finds is reported as differences: the window gives the objects their ids and takes
    them over as one step, and so they come into the session of the movie.

    Parameters
    ----------
    predictor : VideoPredictor
    session : VideoSession
        Of the movie; only read.
    order : SearchOrder
    """

    def __init__(
        self, predictor: VideoPredictor, session: VideoSession, order: SearchOrder
    ) -> None:
        from napari_sam2.predictor.automatic_masklets import AutomaticMasklets

        self._planes = order.planes
        self._beside = beside = session.on_line(order.planes)
        for masklet in session.masklets:
            for t, plane in enumerate(order.planes):
                record = session.masklets.record(masklet.object_id, plane)
                if record is not None:
                    beside.masklets.write(masklet.object_id, t, record)
            # A lock: none of its masks changes, and nobody takes its pixels.
            beside.locks.add(masklet.object_id)
        self._run = AutomaticMasklets(predictor, beside, order.find, order.options)
        self._masks: dict[tuple[int, int], MaskRecord] = {}
        self._prompts: dict[tuple[int, int], tuple[Prompt, ...]] = {}
        self._reported = monotonic()

    @property
    def most_results(self) -> int:
        """Results that it has at most."""
        return self._run.most_results()

    def steps(self) -> Iterator[FrameResult | None]:
        """Search; see `AutomaticMasklets.steps`."""
        yield from self._run.steps()
        for _ in self._run.conclude():
            yield None

    def is_due(self) -> bool:
        """Whether it is time for a report."""
        return monotonic() - self._reported >= _PAUSE

    def report(self) -> messages.Differences:
        """Return what differs from the last report, by frames of the movie."""
        state, beside = self._run.state, self._beside
        masks, prompts = {}, {}
        for object_id in state.object_ids:
            for t in beside.masklets.frames(object_id):
                record = beside.masklets.record(object_id, t)
                if record is not None:
                    masks[object_id, self._planes[t]] = record
            for t in beside.prompts.frames(object_id):
                place = object_id, self._planes[t]
                given = beside.prompts.on(object_id, t)
                prompts[place] = tuple(_moved(one, *place) for one in given)
        news = messages.Differences(
            {p: masks.get(p) for p in (*self._masks, *masks) if self._masks.get(p) != masks.get(p)},
            {
                p: prompts.get(p, ())
                for p in (*self._prompts, *prompts)
                if self._prompts.get(p) != prompts.get(p)
            },
            dict(state.mothers),
        )
        self._masks, self._prompts, self._reported = masks, prompts, monotonic()
        return news


def _moved(prompt: Prompt, object_id: int, frame: int) -> Prompt:
    if isinstance(prompt, MaskPrompt):
        return MaskPrompt.packed(object_id, frame, prompt.shape, prompt.bbox, prompt.bits)
    return replace(prompt, object_id=object_id, frame=frame)
