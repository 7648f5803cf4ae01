"""Divisions: two clicks, or a proposal that is accepted; the mother ends, the daughters begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.editing import operations
from napari_sam2.editing.change import Change
from napari_sam2.prompts import PointPrompt, Prompt
from napari_sam2.tracking.proposals import DivisionProposal
from napari_sam2.widgets.camera import bring_into_view
from napari_sam2.widgets.coordinates import show_frame
from napari_sam2.widgets.division_change import division_of
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.editing.history import Step
    from napari_sam2.predictor.options import PropagateOptions
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie


class Divisions:
    """Makes divisions of the movie in work.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
        The object in work is the mother; afterwards the daughters are.
    following : Following
        Tracks the daughters on where it is automatic.
    onward : callable
        Takes objects and a frame, and returns the options of a run that tracks them on.
    """

    changed = Signal()
    """Other proposals, or another one is chosen."""
    automatic_changed = Signal(bool)
    """Whether cells that a run has ended as divided are taken on without a question."""
    asking_changed = Signal(bool)
    """Whether the next clicks are daughters."""
    told = Signal(Status)
    """What to tell the user."""

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        objects: ObjectChoice,
        following: Following,
        onward: Callable[[Sequence[int], int], PropagateOptions],
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._objects = objects
        self._following = following
        self._onward = onward
        self._found: dict[str, tuple[DivisionProposal, ...]] = {}
        self._dismissed: dict[str, set[int]] = {}
        self._is_automatic = False
        self._taken_on: dict[str, set[int]] = {}
        self._chosen: DivisionProposal | None = None
        self._mother: int | None = None
        self._daughters: list[int] = []
        self._step: Step | None = None

    @property
    def proposals(self) -> tuple[DivisionProposal, ...]:
        """Where objects of the movie in work seem to divide, by frame; without those dismissed."""
        movie = self._movie()
        if movie is None:
            return ()
        dismissed = self._dismissed.get(movie.key, set())
        return tuple(
            one
            for one in self._found.get(movie.key, ())
            if one.mother not in dismissed and _is_open(movie, one)
        )

    @property
    def chosen(self) -> DivisionProposal | None:
        """The proposal that accepting and dismissing are about, the first if none was chosen."""
        proposals = self.proposals
        if self._chosen in proposals:
            return self._chosen
        return proposals[0] if proposals else None

    @property
    def is_automatic(self) -> bool:
        """Whether cells that a run has ended as divided are taken on without a question."""
        return self._is_automatic

    @is_automatic.setter
    def is_automatic(self, is_on: bool) -> None:
        self._is_automatic = is_on
        self._take_on()
        self.automatic_changed.emit(is_on)

    @property
    def is_asking(self) -> bool:
        """Whether the next clicks are daughters."""
        return self._mother is not None

    def where(self, frame: int) -> str:
        """Return how people call a frame of the movie in work."""
        movie = self._movie()
        return f"frame {frame}" if movie is None else movie.document.grid.name(frame)

    def take(self, key: str, proposals: tuple[DivisionProposal, ...]) -> None:
        """Take what was found in a movie."""
        self._found[key] = proposals
        self._take_on()
        self.changed.emit()

    def _take_on(self) -> None:
        """Accept what a run has ended, each once: what is undone stays undone."""
        movie = self._movie()
        if movie is None or not self._is_automatic:
            return
        known = self._taken_on.setdefault(movie.key, set())
        for one in self.proposals:
            if one.mother not in known and _has_ended(movie, one.mother):
                known.add(one.mother)
                self._accept(movie, one)

    def refresh(self) -> None:
        """Look again which proposals are still open: objects were edited."""
        self.changed.emit()

    def choose(self, proposal: DivisionProposal) -> None:
        """Go to a proposal: its frame, with the mother in work."""
        movie = self._movie()
        self._chosen = proposal
        if movie is not None:
            self._objects.select(proposal.mother)
            show_frame(self._viewer, movie.image, proposal.frame)
            masklets = movie.document.masklets
            # A mother that a run has ended was last seen on the frame before.
            for frame in (proposal.frame, proposal.frame - 1):
                record = masklets.record(proposal.mother, frame)
                if record is not None and record.visible:
                    bring_into_view(self._viewer, movie.image, proposal.frame, record.bbox)
                    break
            text = f"Object {proposal.mother} seems to divide at {self.where(proposal.frame)}"
            self._tell(f"{text}: Enter accepts, Shift+Enter dismisses")
        self.changed.emit()

    def go_to_next(self) -> None:
        """Go to the next proposal, after the last to the first."""
        proposals = self.proposals
        if not proposals:
            self._tell("No division is proposed")
            return
        is_first = self._chosen not in proposals
        at = -1 if is_first else proposals.index(self._chosen)  # type: ignore[arg-type]
        self.choose(proposals[(at + 1) % len(proposals)])

    def dismiss(self) -> None:
        """Forget the chosen proposal."""
        movie, proposal = self._movie(), self.chosen
        if movie is not None and proposal is not None:
            self._dismissed.setdefault(movie.key, set()).add(proposal.mother)
            where = self.where(proposal.frame)
            text = f"Object {proposal.mother} does not divide at {where}"
            if _has_ended(movie, proposal.mother):
                text += ": click it there, or later, and it is followed on"
            self._tell(text)
            self.changed.emit()

    def accept(self) -> bool:
        """Make the chosen proposal a division; whether there was one."""
        movie, proposal = self._movie(), self.chosen
        if movie is None or proposal is None:
            self._tell("No division is proposed")
            return False
        daughters = self._accept(movie, proposal)
        if daughters:
            self._objects.select(daughters[0])
        return bool(daughters)

    def _accept(self, movie: OpenMovie, proposal: DivisionProposal) -> list[int]:
        """Make a proposal a division and return the daughters; none if it cannot be made."""
        try:
            change, daughters, places = division_of(movie.document, proposal, self._objects.reserve)
        except ValueError as error:
            self._tell(str(error), is_error=True)
            return []
        step = movie.perform(change)
        movie.adopt_step(step, places)
        for place in places:
            if place not in change.masks:
                movie.ask_again(*place)
        fresh = list(dict.fromkeys(object_id for object_id, _ in places))
        self._finish(proposal.mother, daughters, fresh, proposal.frame)
        return daughters

    def begin(self, mother: int | None = None) -> None:
        """Let the next two clicks be the daughters of an object; again to stop.

        Parameters
        ----------
        mother : int, optional
            The object in work if not given.
        """
        was_asking = self.is_asking
        self.stop()
        if mother is not None:
            self._objects.select(mother)
        elif was_asking:
            return
        movie, mother = self._movie(), self._objects.current
        if movie is None or not self._objects.is_known:
            self._tell("Choose the mother first: an object with a mask", is_error=True)
            return
        if mother in movie.document.lineage.values():
            self._tell(f"Object {mother} has divided already: undo that first", is_error=True)
            return
        self._mother, self._daughters, self._step = mother, [], None
        movie.layers.use("points")
        movie.drawing.connect(self._before)
        movie.drawn.connect(self._after)
        self._objects.new()
        self.asking_changed.emit(True)
        self._tell(f"Division of object {mother}: click the first daughter where it is new")

    def stop(self) -> None:
        """Leave it at the daughters that there are; undo takes them back."""
        movie, mother = self._movie(), self._mother
        if mother is None:
            return
        self._mother = None
        if movie is not None:
            movie.grouping = None
            movie.drawing.disconnect(self._before)
            movie.drawn.disconnect(self._after)
        if not self._daughters:
            self._objects.select(mother)
        self.asking_changed.emit(False)

    def _before(self, prompts: Sequence[Prompt]) -> None:
        """Let the mother end before her daughter's click is noted, in the same step."""
        movie, mother = self._movie(), self._mother
        born = self._born(prompts)
        if movie is None or mother is None or born is None:
            return
        daughters = [*self._daughters, born.object_id]
        try:
            change = operations.divide(movie.document, mother, born.frame, daughters[-1:])
        except ValueError as error:
            self._tell(str(error), is_error=True)
            return
        if self._step is None:
            change = Change(f"divide object {mother}").then(change)
            self._step = movie.perform(change)
            movie.grouping = self._step
        else:
            movie.perform(change)
        self._daughters = daughters

    def _after(self, prompts: Sequence[Prompt]) -> None:
        """Ask for the next daughter, or track both on."""
        mother, born = self._mother, self._born(prompts, known=True)
        if mother is None or born is None:
            return
        if len(self._daughters) == 1:
            self._objects.new()
            self._tell(f"Division of object {mother}: click the second daughter")
            return
        daughters = self._daughters
        self.stop()
        self._objects.select(daughters[0])
        self._finish(mother, daughters, daughters, born.frame)

    def _born(self, prompts: Sequence[Prompt], *, known: bool = False) -> Prompt | None:
        """Return the first click on a daughter that is (not) known."""
        for prompt in prompts:
            is_positive = not isinstance(prompt, PointPrompt) or prompt.positive
            is_daughter = prompt.object_id == self._objects.current
            if is_positive and is_daughter and (prompt.object_id in self._daughters) == known:
                return prompt
        return None

    def _finish(
        self, mother: int, daughters: Sequence[int], fresh: Sequence[int], frame: int
    ) -> None:
        """Say so, and track the daughters on."""
        names = " and ".join(map(str, daughters))
        self._tell(f"Object {mother} divides into {names}")
        if self._following.is_automatic and fresh:
            self._following.extend(self._onward(fresh, frame))
        self.changed.emit()

    def _tell(self, text: str, *, is_error: bool = False) -> None:
        self.told.emit(Status(text, "error" if is_error else "info"))


def _has_ended(movie: OpenMovie, object_id: int) -> bool:
    """Whether a run has ended an object because it has divided."""
    masklets = movie.document.masklets
    frames = masklets.frames(object_id)
    last = masklets.record(object_id, frames[-1]) if frames else None
    return last is not None and last.has_ended


def _is_open(movie: OpenMovie, proposal: DivisionProposal) -> bool:
    """Whether a proposal is still about something that a person has not settled."""
    document = movie.document
    mothers = document.lineage
    is_known = proposal.mother in mothers.values() or set(proposal.daughters) & set(mothers)
    info = document.info(proposal.mother)
    is_in_work = info.state == "in work" and not info.is_fixed
    has_mask = bool(document.masklets.frames(proposal.mother))
    return not is_known and is_in_work and has_mask
