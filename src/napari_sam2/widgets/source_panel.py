"""The part of the dock that says what is segmented, and by which network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QSizePolicy, QWidget

from napari_sam2.model.registry import available_models

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController

DEFAULT_MODEL = "bundled"


class SourcePanel(QWidget):
    """Image layer, network and device.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose image layers can be chosen.
    controller : SegmentationController
        Is told what was chosen.
    """

    def __init__(self, viewer: ViewerModel, controller: SegmentationController) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = controller
        self.image_box = _wide_box("The movie: a (T, Y, X) layer, or a picture. RGB is fine.")
        self.model_box = _wide_box(
            "The network. The bundled one needs no download and suits small cells;\n"
            "the others are fetched when they are first chosen.\n"
            'sam2.load_model("sam2.1-tiny")'
        )
        self.model_box.addItems(list(available_models()))
        self.device_label = QLabel("not loaded yet")
        self.device_label.setToolTip("Where the network runs, and in which precision")
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Image", self.image_box)
        layout.addRow("Network", self.model_box)
        layout.addRow("Device", self.device_label)
        self.image_box.activated.connect(self._choose_image)
        self.model_box.activated.connect(self._choose_model)
        controller.events.image_changed.connect(self._show_image)
        controller.events.model_changed.connect(self._show_model)
        for event in self._layer_events():
            event.connect(self._list_images)
        self._list_images()

    def disconnect_viewer(self) -> None:
        """Stop listening to the viewer's layers."""
        for event in self._layer_events():
            event.disconnect(self._list_images)

    def _layer_events(self) -> tuple:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    def images(self) -> list[Image]:
        """Image layers, the topmost first."""
        return [layer for layer in reversed(self._viewer.layers) if isinstance(layer, Image)]

    def _list_images(self) -> None:
        """Show the images that there are; take the first one that comes."""
        images = self.images()
        is_first = self._controller.image is None and self.image_box.count() == 0
        self._fill(images)
        if is_first and len(images) == 1:
            # Later: napari makes the new layer the active one after it has told us of it, and so
            # would take the tool out of the user's hand.
            QTimer.singleShot(0, partial(self._take_first, images[0]))

    def _take_first(self, image: Image) -> None:
        if self._controller.image is None and image in self._viewer.layers:
            self._controller.set_image(image)

    def _listed(self) -> list[Image]:
        """Images in the box."""
        return [self.image_box.itemData(index) for index in range(self.image_box.count())]

    def _fill(self, images: list[Image]) -> None:
        """Fill the box and show the image in work."""
        self.image_box.clear()
        for image in images:
            self.image_box.addItem(image.name, image)
        self._show_image(self._controller.image)

    def _show_image(self, image: Image | None) -> None:
        listed = self._listed()
        self.image_box.setCurrentIndex(listed.index(image) if image in listed else -1)

    def _choose_image(self, index: int) -> None:
        self._controller.set_image(self.image_box.itemData(index))

    def _choose_model(self, index: int) -> None:
        self._controller.load_model(self.model_box.itemText(index))

    def _show_model(self, name: str, device: str) -> None:
        """Show which network is in use, and where it runs."""
        if name:
            if self.model_box.findText(name) < 0:
                self.model_box.addItem(name)
                self.model_box.setItemData(
                    self.model_box.count() - 1, Path(name).name, Qt.ItemDataRole.ToolTipRole
                )
            self.model_box.setCurrentText(name)
        self.device_label.setText(device or ("loading…" if name else "not loaded"))


def _wide_box(tool_tip: str) -> QComboBox:
    """Return a combo box that may become narrower than its longest entry."""
    box = QComboBox()
    box.setToolTip(tool_tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(12)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box
