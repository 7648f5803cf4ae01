"""The parts of the dock that are folded away as long as nobody needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.widgets.folds import Fold

if TYPE_CHECKING:
    from napari_sam2.planes import PlaneGrid
    from napari_sam2.widgets.controller import SegmentationController
    from napari_sam2.widgets.data_panel import DataPanel
    from napari_sam2.widgets.division_panel import DivisionPanel
    from napari_sam2.widgets.model_panel import ModelPanel
    from napari_sam2.widgets.preferences import Preferences
    from napari_sam2.widgets.seed_panel import SeedPanel


class DockFolds:
    """How the movie is read, the network, labels as prompts, divisions.

    Parameters
    ----------
    controller : SegmentationController
    preferences : Preferences
        Remember which are open.
    panels : tuple of QWidget
        What is in them, in this order.
    """

    def __init__(
        self,
        controller: SegmentationController,
        preferences: Preferences,
        panels: tuple[DataPanel, ModelPanel, SeedPanel, DivisionPanel],
    ) -> None:
        data, model, seeds, divisions = panels
        self._controller = controller
        self._proposed = 0
        self.data = Fold("data", "Axes and channels", data, preferences)
        self.model = Fold("network", "Network", model, preferences)
        self.seeds = Fold("seeds", "Labels as prompts", seeds, preferences)
        self.divisions = Fold("divisions", "Divisions", divisions, preferences)
        controller.events.image_changed.connect(self._show_data)
        controller.source.changed.connect(self._show_data)
        controller.models.changed.connect(self._show_model)
        controller.divisions.changed.connect(self._show_divisions)
        self._show_data()
        self._show_model()
        self._show_divisions()

    def _show_data(self, *_: object) -> None:
        """Say what there is; an image that is no movie yet needs its axes set."""
        source, layers = self._controller.source, self._controller.layers
        self.data.setVisible(source.image is not None)
        self.data.say("" if layers is None else extent(layers.movie.grid))
        if layers is None and source.image is not None:
            self.data.show_now()

    def _show_model(self) -> None:
        models = self._controller.models
        self.model.say(models.line)
        if models.is_downloading:
            self.model.show_now()

    def _show_divisions(self) -> None:
        count = len(self._controller.divisions.proposals)
        self.divisions.say(f"{count} proposed" if count else "")
        if count > self._proposed:
            self.divisions.show_now()
        self._proposed = count


def extent(grid: PlaneGrid) -> str:
    """Return how long a movie is, and how deep."""
    counts = ((grid.times, "time"), (grid.slices, "slice"))
    listed = [f"{count} {what}s" for count, what in counts if count > 1]
    return " × ".join(listed) or "a picture"
