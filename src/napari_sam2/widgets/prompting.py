"""What helps with prompts beside drawing them: candidates, seeds, picking, encoding ahead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.widgets.candidates import Candidates
from napari_sam2.widgets.finding import Finding
from napari_sam2.widgets.look_ahead import LookAhead
from napari_sam2.widgets.picking import Picker
from napari_sam2.widgets.seed_labels import SeedLabels
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie
    from napari_sam2.widgets.worker import Worker


class Prompting:
    """Ties the object in work to the layers, and holds what the user prompts with.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
    worker, engine : Worker, Engine
        Who encodes ahead.
    wake : callable
        Has `settle` called soon, from any thread.

    Attributes
    ----------
    candidates : Candidates
        The masks that a click offers.
    seeds : SeedLabels
        Labels layers as prompts.
    picker : Picker
        Objects chosen by their masks.
    finding : Finding
        Objects that the network finds by itself.
    """

    told = Signal(Status)
    """What to tell the user."""
    redrawn = Signal()
    """The labels are to be drawn soon."""
    sent = Signal()
    """Clicks or boxes are on their way to be answered."""

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Callable[[], OpenMovie | None],
        objects: ObjectChoice,
        worker: Worker,
        engine: Engine,
        wake: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._movie = movie
        self._objects = objects
        self.candidates = Candidates(movie, objects, self.redrawn.emit)
        self.seeds = SeedLabels(viewer, movie, wake)
        self.picker = Picker(viewer, movie, objects)
        self.finding = Finding(movie, objects, engine)
        self._look_ahead = LookAhead(
            viewer, movie, lambda gaze: worker.submit(partial(engine.gaze_at, gaze)), wake
        )
        for part in (self.candidates, self.seeds, self.picker, self.finding):
            part.told.connect(self.told.emit)
        self.seeds.done.connect(self.redrawn.emit)
        objects.changed.connect(self.show_choice)
        objects.sign_changed.connect(self.show_choice)
        viewer.dims.events.current_step.connect(self._on_slider)

    def close(self) -> None:
        """Stop listening to the viewer."""
        self._viewer.dims.events.current_step.disconnect(self._on_slider)
        self.picker.close()
        self._look_ahead.close()

    def attach(self, movie: OpenMovie) -> None:
        """Follow a movie that was opened."""
        movie.changed.connect(self._on_change)
        movie.drawn.connect(lambda _prompts: self.sent.emit())
        movie.layers.picked.connect(self._on_picked)

    def settle(self) -> float | None:
        """Do what waits; return the seconds after which to call again, if that is needed."""
        self.seeds.settle()
        return self._look_ahead.settle()

    def show_choice(self) -> None:
        """Make the layers draw for the object in work, and its prompts stand out."""
        movie = self._movie()
        if movie is not None:
            movie.layers.set_next(self._objects.current, self._objects.is_positive)
        self.candidates.update()

    def enter(self) -> None:
        """Begin with a movie: the object in work is one of its own, its frame is encoded."""
        self._objects.reset()
        self.show_choice()
        self._look_ahead.note()

    def _on_picked(self, label: int) -> None:
        """Follow the label that napari's picker, or anybody else, has set."""
        movie = self._movie()
        if label > 0 and label != self._objects.current and movie is not None:
            self._objects.select(label)
            self.picker.tell(movie.document)

    def _on_change(self, _frames: set[int]) -> None:
        self.candidates.update()

    def _on_slider(self) -> None:
        self.candidates.update()
