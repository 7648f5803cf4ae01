"""Which way a run goes through a movie of stacks; not seen for other movies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QWidget

if TYPE_CHECKING:
    from napari_sam2.planes import PlaneGrid
    from napari_sam2.predictor.options import Along
    from napari_sam2.widgets.route import Route

WAYS: dict[Along, str] = {"both": "Time and z", "time": "Time", "z": "Z"}


class RoutePanel(QWidget):
    """Along time, along z or both.

    Parameters
    ----------
    route : Route
        Is changed.
    """

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._route = route
        self.along_box = QComboBox()
        self.along_box.addItems(list(WAYS.values()))
        self.along_box.setToolTip(
            "Time and z: through z at each time, and from the middle slice to the next time.\n"
            "Time: in the slices with prompts. Z: at the times with prompts.\n"
            'sam2.route.along = "both"'
        )
        self.here_box = QCheckBox("Only here")
        self.here_box.setToolTip(
            "Only in the slice, or at the time, that is shown; objects without a prompt\n"
            "there start from the mask that they have there\nsam2.route.only_here = True"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Along"))
        row.addWidget(self.along_box, 1)
        row.addWidget(self.here_box)
        self.along_box.activated.connect(self._choose)
        self.here_box.toggled.connect(self._toggle)
        route.changed.connect(self._show_route)
        self._show_route()

    def show_grid(self, grid: PlaneGrid | None) -> None:
        """Show what suits a movie."""
        self.setVisible(grid is not None and not grid.is_line)
        self._show_route()

    def _show_route(self) -> None:
        self.along_box.setCurrentIndex(list(WAYS).index(self._route.along))
        self.here_box.setChecked(self._route.only_here)
        self.here_box.setEnabled(self._route.along != "both")

    def _choose(self, index: int) -> None:
        self._route.along = list(WAYS)[index]

    def _toggle(self, is_on: bool) -> None:
        self._route.only_here = is_on
