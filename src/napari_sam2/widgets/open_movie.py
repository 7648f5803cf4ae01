"""One movie in work: turns what is drawn on its layers into requests, and answers into masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from psygnal import Signal

from napari_sam2.editing import operations
from napari_sam2.editing.change import Change, Place
from napari_sam2.editing.document import Document
from napari_sam2.editing.history import History, Step
from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt
from napari_sam2.widgets.candidates import Offer
from napari_sam2.widgets.coordinates import shown_frame
from napari_sam2.widgets.drawn_masks import DrawnMasks, from_outline, from_strokes
from napari_sam2.widgets.late_frames import sift
from napari_sam2.widgets.layers import SegmentationLayers, about
from napari_sam2.widgets.lives import longer_lives, refusal
from napari_sam2.widgets.prompt_changes import change_prompts, edit_title, older_boxes
from napari_sam2.widgets.source import movie_of
from napari_sam2.widgets.status import Status, held_status
from napari_sam2.widgets.tickets import Tickets

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_sam2.predictor.results import FrameResult
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
        If the layer is no movie; see `source.movie_of`.
    """

    touched = Signal(object)
    """The user draws on this movie; emitted before anything is asked for it."""
    asked = Signal(int)
    """A prompt was sent for this object."""
    noted = Signal()
    """There is a new step to undo."""
    changed = Signal(set)
    """Prompts or objects were changed, and the masks of these frames."""
    drawing = Signal(list)
    """Prompts were drawn, and are about to be taken."""
    drawn = Signal(list)
    """Prompts were drawn, and have been sent."""
    told = Signal(Status)
    """Something to tell the user."""
    unsettled = Signal()
    """`settle` has something to do, once napari is done with its own event."""

    def __init__(self, viewer: ViewerModel, image: Image, worker: Worker, engine: Engine) -> None:
        self.layers = SegmentationLayers(viewer, image)
        self._seen = self.layers.movie
        self.key = uuid4().hex
        self.path: str | None = image.source.path
        self._viewer = viewer
        self._worker, self.backlog = worker, worker.backlog
        self._engine = engine
        self._tickets = Tickets()
        self.document = Document(self.layers.masklets, self.layers.movie.grid)
        self.history = History()
        self.grouping: Step | None = None
        """While it is set, prompts and edits become part of this step."""
        self._steps: dict[Place | int, Step] = {}
        self._causes: dict[int, Place] = {}  # the newest prompt of each object
        self._deleted: set[int] = set()
        self._refused: list[Prompt] = []
        self._held: set[Place] = set()
        self._painted: set[int] = set()
        self._outlines: list[tuple[MaskPrompt, bool]] = []
        self.offers: dict[Place, Offer] = {}
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
        if now.look != self._seen.look:
            self._seen = now
            self._worker.submit(partial(self._engine.set_contrast, now))

    def close(self) -> None:
        """Drop the session; the layers stay."""
        self.layers.disconnect()
        self._worker.submit(partial(self._engine.forget, self.key))

    @property
    def may_follow(self) -> bool:
        """Whether a click waits for its answer on an object that has masks on other frames."""
        masklets = self.document.masklets
        return any(set(masklets.frames(i)) - {frame} for i, frame in self._tickets.waiting)

    def perform(self, change: Change) -> Step:
        """Make an edit that can be undone; return its step."""
        for object_id in change.object_ids:
            self.asked.emit(object_id)
        step = self._remember(change)
        self._apply(change)
        self.noted.emit()
        return step

    def adopt_step(self, step: Step, places: Iterable[Place]) -> None:
        """Let what follows from the prompts on these places become part of a step."""
        for place in places:
            self._steps[place] = step
            self._causes[place[0]] = place

    def adopt(self, document: Document) -> None:
        """Go on with what a session file holds, in place of what is here; cannot be undone."""
        for object_id in self.document.object_ids:
            self._apply(operations.delete(self.document, object_id))
        self._apply(operations.insert(document))
        self.history.clear()
        self._steps.clear()
        for object_id in document.object_ids:
            self.asked.emit(object_id)

    def undo(self) -> str | None:
        """Take the newest change back; return its title, None if there is none."""
        title, change = self.history.undo_title, self.history.undo()
        if change is not None:
            self._apply(change)
        return title

    def redo(self) -> str | None:
        """Make the change that was last taken back once more; return its title."""
        title, change = self.history.redo_title, self.history.redo()
        if change is not None:
            self._apply(change)
        return title

    def take_answer(self, answer: Predicted) -> bool:
        """Write the mask of a click; False if it comes too late."""
        place = answer.object_id, answer.frame
        if not self._tickets.take(place, answer.ticket):
            return False
        if answer.record is not None and answer.candidates:
            self.offers[place] = Offer.of(answer.candidates, answer.record)
        self._put(place, "answer", answer.frame, [(answer.object_id, answer.record)])
        return True

    def choose(self, object_id: int, frame: int, candidate: int) -> None:
        """Take another mask of those that a click offers; see `offers`."""
        place = object_id, frame
        offer, (click,) = self.offers[place], self.document.prompts.on(*place)
        if not self._without_held([click]) or not isinstance(click, PointPrompt):
            return
        chosen = replace(click, candidate=candidate)
        step = self._note(f"choose mask {candidate + 1} of object {object_id}", [click], [chosen])
        self.layers.draw(*place, [chosen])
        self.offers[place] = replace(offer, chosen=candidate)
        self._steps[place] = step
        self._put(place, "answer", frame, [(object_id, offer.records[candidate])])
        self.ask_again(*place)

    def ask_again(self, object_id: int, frame: int) -> None:
        """Have the prompts of an object on a frame answered once more, for what they offer."""
        prompts = self.document.prompts.on(object_id, frame)
        self._ask(object_id, frame, partial(self._engine.exchange, object_id, frame, prompts))

    def take_frame(self, number: int, result: FrameResult) -> None:
        """Write the masks that a run made on a frame; the whole run is one step to undo."""
        wanted = self._without_locked(result)
        self._put(number, "tracking", result.frame, wanted)

    def _without_locked(self, result: FrameResult) -> list[tuple[int, MaskRecord | None]]:
        """Leave out objects that were locked, or have ended, while the frame was on its way."""
        wanted, late = sift(self.document, result)
        for back in late:
            self._worker.submit(partial(self._engine.apply, back))
        return wanted

    def take_followed(self, result: FrameResult) -> None:
        """Write what follows from a prompt on another frame; it is undone with the prompt."""
        for object_id, record in self._without_locked(result):
            cause = self._causes.get(object_id, (object_id, result.frame))
            title = f"correction of object {object_id}"
            self._put(cause, title, result.frame, [(object_id, record)])

    def _remember(self, change: Change) -> Step:
        """Push a step, or add to the one that is being grouped."""
        if self.grouping is None:
            return self.history.push(change)
        return self.history.amend(self.grouping, change)

    def _put(
        self,
        origin: Place | int,
        title: str,
        frame: int,
        records: Iterable[tuple[int, MaskRecord | None]],
    ) -> None:
        """Write masks, except of objects that were deleted meanwhile, where they came from."""
        wanted = [one for one in records if one[0] not in self._deleted]
        known = self.document.masklets
        masks = {(i, frame): (known.record(i, frame), record) for i, record in wanted}
        self.layers.canvas.put(frame, wanted)
        change = Change(title).then(Change(title, masks))
        known_step = self._steps.get(origin)
        self._steps[origin] = self.history.amend(known_step, change)
        if self._steps[origin] is not known_step:
            self.noted.emit()
        self.changed.emit({frame})

    def _apply(self, change: Change) -> None:
        """Make a change in the document, the layers and the engine."""
        for frame in change.frames:
            here = [(i, now) for (i, at), (_, now) in change.masks.items() if at == frame]
            self.layers.canvas.put(frame, here)
        self.document.apply(change)
        for place, (_, prompts) in change.prompts.items():
            self.layers.draw(*place, prompts)
        for place in {*change.masks, *change.prompts}:
            self.offers.pop(place, None)
            self._tickets.void(place)
        known = set(self.document.object_ids)
        self._deleted = (self._deleted | change.object_ids) - known
        # An answer that nobody has seen may have changed the engine's mask meanwhile.
        masklets = self.document.masklets
        there = {place: 2 * (masklets.record(*place),) for place in change.prompts}
        complete = replace(change, masks={**there, **change.masks})
        self._worker.submit(partial(self._engine.apply, complete))
        self.changed.emit(set(change.frames))

    def take_back(self, prompt: Prompt) -> None:
        """Delete a prompt that was refused, at the next `settle`."""
        self._refused.append(prompt)
        self.unsettled.emit()

    def settle(self) -> None:
        """Read what was painted and delete what was refused."""
        refused, self._refused = self._refused, []
        if refused:
            self.layers.discard(lambda prompt: prompt in refused)
        held, self._held = self._held, set()
        for place in held:
            self.layers.draw(*place, self.document.prompts.on(*place))
        frames, self._painted = self._painted, set()
        for frame in frames:
            self._take_strokes(frame)
        outlines, self._outlines = self._outlines, []
        for outline, is_positive in outlines:
            self._take_outline(outline, is_positive)

    def _take_strokes(self, frame: int) -> None:
        """Make what was painted on a frame prompts."""
        drawn = from_strokes(self.document, frame, self.layers.canvas.painted(frame))
        if drawn.held:
            self.layers.canvas.restore(frame)
            self.layers.canvas.refresh(self.frame)
        self.take_drawn(drawn)

    def _take_outline(self, outline: MaskPrompt, is_positive: bool) -> None:
        """Make what was drawn with lasso or polygon a prompt."""
        try:
            self.take_drawn(from_outline(self.document, outline, is_positive))
        except ValueError as error:
            self.told.emit(Status(str(error), "error"))
        self.layers.canvas.refresh(self.frame)

    def take_drawn(self, drawn: DrawnMasks) -> None:
        """Make masks that a person made prompts: one step, however many objects they touch."""
        if drawn.held:
            self._tell_held(drawn.held)
        if not drawn.masks:
            return
        self.touched.emit(self)
        places = [(owner, drawn.frame) for owner in drawn.masks]
        gone = [one for i in drawn.erased for one in self.document.prompts.on(i, drawn.frame)]
        # All at once: each is repainted around the others.
        self._steps.update(dict.fromkeys(places, self._note(drawn.title, gone, drawn.prompts)))
        self._put(places[0], "paint", drawn.frame, drawn.records)
        for place in places:
            self.layers.discard(about(*place))
        for prompt in drawn.prompts:
            self._add(prompt)
        for object_id in drawn.erased:
            self.ask_again(object_id, drawn.frame)

    def _on_edit(self, gone: list[Drawn], come: list[Drawn]) -> None:
        """Ask for what the user's clicks and boxes change."""
        self.touched.emit(self)
        gone, come = self._without_held(gone), self._without_held(come)
        problems = {
            prompt: self.layers.movie.problem_with(prompt)
            or refusal(self.document, prompt.object_id, prompt.frame)
            for prompt in come
        }
        for prompt, problem in problems.items():
            if problem is not None:
                self.take_back(prompt)
                self.told.emit(Status(problem, "error"))
        accepted = [prompt for prompt in come if problems[prompt] is None]
        outlines = [prompt for prompt in accepted if isinstance(prompt, MaskPrompt)]
        for outline in outlines:
            # It is a mask from here on: the line itself goes.
            self.take_back(outline)
            self._outlines.append((outline, self.layers.next_is_positive))
        accepted = [prompt for prompt in accepted if prompt not in outlines]
        gone = [prompt for prompt in gone if not isinstance(prompt, MaskPrompt)]
        self.drawing.emit(accepted)
        if gone or accepted:
            self._note(edit_title(gone, accepted, self.document.grid), gone, accepted)
        for prompt in gone:
            self._ask(prompt.object_id, prompt.frame, partial(self._engine.remove, prompt))
        for prompt in accepted:
            if isinstance(prompt, BoxPrompt):
                for older in older_boxes(self.layers.prompts, prompt):
                    self.take_back(older)
            self._add(prompt)
        self.drawn.emit(accepted)

    def _without_held(self, prompts: list[Drawn]) -> list[Drawn]:
        """Leave out the prompts of locked masks; they are drawn as before at the next `settle`."""
        held = [one for one in prompts if self.document.info(one.object_id).holds(one.frame)]
        if held:
            self._held |= {(one.object_id, one.frame) for one in held}
            self._tell_held({one.object_id for one in held})
            self.unsettled.emit()
        return [one for one in prompts if one not in held]

    def _tell_held(self, objects: Iterable[int]) -> None:
        self.told.emit(held_status(self.document.info(min(objects))))

    def _on_painted(self) -> None:
        self._painted.add(self.frame)
        self.unsettled.emit()

    def _note(self, title: str, gone: Sequence[Prompt], come: Sequence[Prompt]) -> Step:
        """Change the document's prompts as a step that answers are added to."""
        places = dict.fromkeys((one.object_id, one.frame) for one in (*gone, *come))
        for place in places:
            self.offers.pop(place, None)
        change = change_prompts(self.document.prompts, title, gone, come)
        longer = longer_lives(self.document, come)
        if not longer.is_empty:
            self._apply(longer)
        step = self._remember(change.then(longer))
        self._steps.update(dict.fromkeys(places, step))
        self.noted.emit()
        self.changed.emit(set())
        return step

    def _add(self, prompt: Prompt) -> None:
        """Have a prompt answered."""
        self._deleted.discard(prompt.object_id)
        self.asked.emit(prompt.object_id)
        self._ask(prompt.object_id, prompt.frame, partial(self._engine.add, prompt))

    def _ask(self, object_id: int, frame: int, command: Callable[[int], None]) -> None:
        """Send a request with a ticket; only the newest one of an object and frame counts."""
        self.send_contrast()
        ticket = self._tickets.issue((object_id, frame))
        self._causes[object_id] = object_id, frame
        self._worker.submit(partial(command, ticket))
