"""One movie in work: turns what is drawn on its layers into requests, and answers into masks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from psygnal import Signal

from napari_sam2.prompts import BoxPrompt, MaskPrompt, Prompt
from napari_sam2.widgets.coordinates import movie_of, shown_frame
from napari_sam2.widgets.layers import SegmentationLayers, about
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2.masklets import MaskRecord
    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.messages import Predicted
    from napari_sam2.widgets.prompt_layers import Drawn
    from napari_sam2.widgets.worker import Worker


class OpenMovie:
    """The layers of an image and the requests that its prompts become.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where the layers go.
    image : napari.layers.Image
        The movie.
    worker, engine : Worker, Engine
        Who answers.

    Raises
    ------
    ValueError
        If the layer is no movie; see `coordinates.movie_of`.
    """

    touched = Signal(object)
    """The user draws on this movie; emitted before anything is asked for it."""
    asked = Signal(int)
    """A prompt was sent for this object."""
    told = Signal(Status)
    """Something to tell the user."""
    unsettled = Signal()
    """`settle` has something to do, once napari is done with its own event."""

    def __init__(self, viewer: ViewerModel, image: Image, worker: Worker, engine: Engine) -> None:
        self.layers = SegmentationLayers(viewer, image)
        self._seen = self.layers.movie
        self.key = uuid4().hex
        self._viewer = viewer
        self._worker = worker
        self._engine = engine
        self._tickets = itertools.count(1)
        self._latest: dict[tuple[int, int], int] = {}
        self._deleted: set[int] = set()
        self._refused: list[Prompt] = []
        self._painted: set[int] = set()
        self.layers.edited.connect(self._on_edit)
        self.layers.painted.connect(self._on_painted)

    @property
    def image(self) -> Image:
        """The image layer."""
        return self.layers.image

    @property
    def frame(self) -> int:
        """The frame that the viewer shows."""
        return shown_frame(self._viewer, self.image)

    def enter(self) -> None:
        """Make this the session that the engine works on."""
        self._worker.submit(partial(self._engine.open, self.key, self.layers.movie))

    def send_contrast(self) -> None:
        """Tell the engine when the image is shown otherwise than at the last request."""
        now = movie_of(self.image)
        if (now.low, now.high) != (self._seen.low, self._seen.high):
            self._seen = now
            self._worker.submit(partial(self._engine.set_contrast, now))

    def close(self) -> None:
        """Drop the session; the layers stay."""
        self.layers.disconnect()
        self._worker.submit(partial(self._engine.forget, self.key))

    def clear(self, object_id: int, frame: int) -> None:
        """Take back the prompts and the mask of an object on a frame."""
        self.layers.discard(about(object_id, frame))
        self._ask(object_id, frame, partial(self._engine.clear, object_id, frame))
        self.put(frame, [(object_id, None)])

    def delete_object(self, object_id: int) -> None:
        """Remove an object everywhere."""
        self._deleted.add(object_id)
        self.layers.discard(about(object_id))
        self.layers.canvas.remove_object(object_id)
        self._worker.submit(partial(self._engine.remove_object, object_id))

    def put(self, frame: int, records: Iterable[tuple[int, MaskRecord | None]]) -> None:
        """Write masks, except of objects that were deleted meanwhile."""
        self.layers.canvas.put(frame, [one for one in records if one[0] not in self._deleted])

    def take_answer(self, answer: Predicted) -> bool:
        """Write the mask of a click; False if it comes too late."""
        if self._latest.get((answer.object_id, answer.frame)) != answer.ticket:
            return False
        self.put(answer.frame, [(answer.object_id, answer.record)])
        return True

    def take_back(self, prompt: Prompt) -> None:
        """Delete a prompt that was refused, at the next `settle`."""
        self._refused.append(prompt)
        self.unsettled.emit()

    def settle(self) -> None:
        """Read what was painted and delete what was refused."""
        refused, self._refused = self._refused, []
        if refused:
            self.layers.discard(lambda prompt: prompt in refused)
        frames, self._painted = self._painted, set()
        for frame in frames:
            for object_id, mask in self.layers.canvas.painted(frame).items():
                self._take_mask(MaskPrompt(object_id, frame, mask))

    def _on_edit(self, gone: list[Drawn], come: list[Drawn]) -> None:
        """Ask for what the user's clicks and boxes change."""
        self.touched.emit(self)
        for prompt in gone:
            self._ask(prompt.object_id, prompt.frame, partial(self._engine.remove, prompt))
        for prompt in come:
            problem = self.layers.movie.problem_with(prompt)
            if problem is not None:
                self.take_back(prompt)
                self.told.emit(Status(problem, "error"))
                continue
            if isinstance(prompt, BoxPrompt):
                self._take_back_older(prompt)
            self._add(prompt)

    def _on_painted(self) -> None:
        self._painted.add(self.frame)
        self.unsettled.emit()

    def _take_mask(self, prompt: MaskPrompt) -> None:
        """Make painted pixels the prompt on a frame; when all are erased, there is none."""
        self.touched.emit(self)
        self.layers.discard(about(prompt.object_id, prompt.frame))
        if prompt.bits:
            self._add(prompt)
        else:
            self._ask(
                prompt.object_id,
                prompt.frame,
                partial(self._engine.clear, prompt.object_id, prompt.frame),
            )

    def _take_back_older(self, box: BoxPrompt) -> None:
        """Delete the boxes that a new one on the same frame replaces."""
        is_same = about(box.object_id, box.frame)
        for one in self.layers.prompts:
            if isinstance(one, BoxPrompt) and one != box and is_same(one):
                self.take_back(one)

    def _add(self, prompt: Prompt) -> None:
        """Have a prompt answered."""
        self._deleted.discard(prompt.object_id)
        self.asked.emit(prompt.object_id)
        self._ask(prompt.object_id, prompt.frame, partial(self._engine.add, prompt))

    def _ask(self, object_id: int, frame: int, command: Callable[[int], None]) -> None:
        """Send a request with a ticket; only the newest one of an object and frame counts."""
        self.send_contrast()
        ticket = self._latest[object_id, frame] = next(self._tickets)
        self._worker.submit(partial(command, ticket))
