"""The part of the dock that makes the labels of another layer prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLineEdit, QWidget

from napari_sam2.planes import PlaneGrid
from napari_sam2.widgets.object_panel import plain_button
from napari_sam2.widgets.written_places import example

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController

CHOICES = ("This frame", "All frames", "Frames:")


class SeedPanel(QWidget):
    """Which labels, on which frames.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its Labels layers are offered.
    controller : SegmentationController
        Is told what was chosen.
    """

    def __init__(self, viewer: ViewerModel, controller: SegmentationController) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = controller
        self.layer_box = QComboBox()
        self.layer_box.setToolTip("Labels layer whose labels become objects")
        self.frames_box = QComboBox()
        self.frames_box.addItems(CHOICES)
        self.frames_box.setToolTip("Where the labels are read, each a mask prompt on its frame")
        self.frames_edit = QLineEdit()
        self.frames_edit.setEnabled(False)
        self.match_box = QCheckBox("Match objects")
        self.match_box.setChecked(True)
        self.match_box.setToolTip(
            "A label that lies on an object, IoU 0.5 or more, is taken for that object;\n"
            "otherwise every label is a new one"
        )
        self.take_button = plain_button(
            "Take as prompts",
            "Every label becomes an object with its mask as prompt\n"
            'sam2.seeds.take(viewer.layers["labels"], "0, 4-6")',
            self.take,
        )
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.layer_box, 0, 0, 1, 2)
        layout.addWidget(self.match_box, 0, 2)
        layout.addWidget(self.frames_box, 1, 0)
        layout.addWidget(self.frames_edit, 1, 1)
        layout.addWidget(self.take_button, 1, 2)
        self.frames_box.currentIndexChanged.connect(
            lambda index: self.frames_edit.setEnabled(index == len(CHOICES) - 1)
        )
        controller.events.image_changed.connect(self._list_layers)
        controller.events.image_changed.connect(self._show_example)
        for event in self._layer_events():
            event.connect(self._list_layers)
        self._list_layers()
        self._show_example()

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer's layers."""
        for event in self._layer_events():
            event.disconnect(self._list_layers)

    def take(self) -> None:
        """Take the labels that are chosen."""
        layer = self.layer_box.currentData()
        if layer is None:
            self._controller.seeds.refuse("there is no other Labels layer: open one first")
            return
        match = self.match_box.isChecked()
        self._controller.seeds.take(layer, self._frames(), match=match)

    def _frames(self) -> str:
        index = self.frames_box.currentIndex()
        # A space: nothing typed is refused as that.
        return ("shown", "all", self.frames_edit.text() or " ")[index]

    def _show_example(self, *_: object) -> None:
        """Say how frames of this movie are written."""
        layers = self._controller.layers
        grid = PlaneGrid(1) if layers is None else layers.movie.grid
        self.frames_edit.setPlaceholderText(example(grid))
        self.frames_edit.setToolTip(
            "Frames, counted from 0: numbers and ranges"
            if grid.is_line
            else "Times and slices, counted from 0 as the sliders do: t 3, z 7 is one plane,\n"
            "t 3 all slices of a time, z 7 a slice at all times, t 0-2, z 3, 5 six planes;\n"
            "a semicolon begins another place"
        )

    def _layer_events(self) -> tuple:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    def _list_layers(self, *_: object) -> None:
        """List the Labels layers that there are; the one that was chosen stays so."""
        chosen, layers = self.layer_box.currentData(), self._controller.seeds.layers()
        self.layer_box.clear()
        for layer in layers:
            self.layer_box.addItem(layer.name, layer)
        if chosen in layers:
            self.layer_box.setCurrentIndex(layers.index(chosen))
