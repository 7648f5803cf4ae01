"""The part of the dock that says how the image is read: axes, channels, level, preview."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.planes import ROLES
from napari_sam2.widgets.model_panel import narrow_box

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_sam2.widgets.controller import SegmentationController

PREVIEW_SIDE = 160
"""Pixels of the window that the preview takes at most."""


class AxisBoxes(QWidget):
    """One small box an axis, with its length above.

    Parameters
    ----------
    controller : SegmentationController
        Is told what was chosen.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._controller = controller
        self._image: Image | None = None
        self.boxes: list[QComboBox] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(3)

    def show_axes(self, image: Image | None, axes: str, sizes: tuple[int, ...]) -> None:
        """Show the axes of an image."""
        self._image = image
        while (item := self._row.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.boxes = []
        for index, (letter, size) in enumerate(zip(axes, sizes, strict=True)):
            box = QComboBox()
            box.addItems(list(ROLES.values()))
            box.setToolTip(
                f'Axis {index} is {size} long: what it means\nsam2.source.set_axes("{axes}")'
            )
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(3)
            box.setCurrentIndex(list(ROLES).index(letter) if letter in ROLES else -1)
            box.activated.connect(partial(self._choose, index))
            label = QLabel(str(size))
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            column = QWidget()
            stack = QVBoxLayout(column)
            stack.setContentsMargins(0, 0, 0, 0)
            stack.setSpacing(0)
            stack.addWidget(label)
            stack.addWidget(box)
            self._row.addWidget(column, 1)
            self.boxes.append(box)

    def _choose(self, index: int, role: int) -> None:
        """Give an axis another meaning; the axis that had it gets the one that is left."""
        letter = list(ROLES)[role]
        spare = iter("ABDEFGHI")  # for axes of length 1 that mean nothing
        axes = [next(spare) if one == "?" else one for one in self._controller.source.axes]
        before = axes[index]
        axes = [before if one == letter else one for one in axes]
        axes[index] = letter
        if not self._controller.source.set_axes("".join(axes), self._image):
            # Refused, with the reason in the line below: show what is.
            with QSignalBlocker(self.boxes[index]):
                known = list(ROLES).index(before) if before in ROLES else -1
                self.boxes[index].setCurrentIndex(known)


class DataPanel(QWidget):
    """How the image in work is read.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Its other images can be channels.
    controller : SegmentationController
        Is told what was chosen.
    """

    def __init__(self, viewer: ViewerModel, controller: SegmentationController) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = controller
        self.axis_boxes = AxisBoxes(controller)
        self.colour_boxes = [
            narrow_box(f"What the network sees as {colour}; all three alike are grey.\n"
                       "sam2.source.set_channels(0)  # numbers of sam2.source.channels()")
            for colour in ("red", "green", "blue")
        ]  # fmt: skip
        self.level_box = narrow_box(
            "Level of a multiscale image; a cell should have 30 pixels or more.\n"
            "sam2.source.set_level(0)"
        )
        self.preview_box = QCheckBox("Show what the network sees")
        self.preview_box.setToolTip(
            "Channels, contrast and gamma as they are mapped, and the window around the object\n"
            "sam2.preview.is_on = True"
        )
        self.preview_label = QLabel()
        self.preview_label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._form = self._arranged()
        for box in self.colour_boxes:
            box.activated.connect(self._choose_channels)
        self.level_box.activated.connect(self._choose_level)
        self.preview_box.toggled.connect(self._toggle_preview)
        controller.events.image_changed.connect(self.refresh)
        controller.source.changed.connect(self.refresh)
        controller.preview.drawn.connect(self._show_picture)
        for event in self._layer_events():
            event.connect(self.refresh)
        self.refresh()

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer's layers."""
        for event in self._layer_events():
            event.disconnect(self.refresh)

    def refresh(self, _event: object = None) -> None:
        """Show how the image in work is read."""
        source, image = self._controller.source, self._controller.source.image
        self.setVisible(image is not None)
        if image is None:
            return
        self.axis_boxes.show_axes(image, source.axes, source.sizes)
        is_open = self._controller.image is not None
        names = [channel.name for channel in source.channels()] if is_open else []
        for box, chosen in zip(self.colour_boxes, source.colours, strict=True):
            box.clear()
            box.addItems(names)
            box.setCurrentIndex(chosen)
        sizes = source.level_sizes if is_open else []
        self.level_box.clear()
        self.level_box.addItems([f"{i}: {size}" for i, size in enumerate(sizes)])
        self.level_box.setCurrentIndex(source.level)
        self._form.setRowVisible(1, len(names) > 1)
        self._form.setRowVisible(2, len(sizes) > 1)

    def _arranged(self) -> QFormLayout:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        colours = QHBoxLayout()
        for box, colour in zip(self.colour_boxes, ("#e5484d", "#2ecc40", "#4a9eff"), strict=True):
            box.setMinimumContentsLength(4)
            box.setStyleSheet(f"QComboBox {{ border-bottom: 2px solid {colour}; }}")
            colours.addWidget(box, 1)
        form.addRow("Axes", self.axis_boxes)
        form.addRow("Channels", colours)
        form.addRow("Level", self.level_box)
        form.addRow(self.preview_box)
        form.addRow(self.preview_label)
        form.setRowVisible(4, False)
        return form

    def _layer_events(self) -> tuple:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.renamed

    def _choose_channels(self, _index: int) -> None:
        red, green, blue = (box.currentIndex() for box in self.colour_boxes)
        sender = self.sender()
        was_grey = len({*self._controller.source.colours}) == 1
        if was_grey and sender is self.colour_boxes[0]:
            green = blue = red  # grey stays grey until green or blue is chosen
        if not self._controller.source.set_channels(red, green, blue):
            self.refresh()

    def _choose_level(self, level: int) -> None:
        if not self._controller.source.set_level(level):
            self.refresh()

    def _toggle_preview(self, is_on: bool) -> None:
        self._form.setRowVisible(4, is_on)
        self._controller.preview.is_on = is_on

    def _show_picture(self, picture: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
        height, width = picture.shape[:2]
        image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        aspect = Qt.AspectRatioMode.KeepAspectRatio
        smooth = Qt.TransformationMode.SmoothTransformation
        pixmap = QPixmap.fromImage(image)
        self.preview_label.setPixmap(pixmap.scaled(PREVIEW_SIDE, PREVIEW_SIDE, aspect, smooth))
        y0, x0, y1, x1 = box
        self.preview_label.setToolTip(
            f"{height} × {width} pixels of input, from y {y0} to {y1}, x {x0} to {x1} of the image"
        )
