"""The part of the dock that says what is segmented."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_sam2.widgets.model_panel import narrow_box

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController


class SourcePanel(QWidget):
    """The image layer in work.

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
        self.image_box = narrow_box("The movie: a (T, Y, X) layer, or a picture. RGB is fine.")
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Image", self.image_box)
        self.image_box.activated.connect(self._choose_image)
        controller.events.image_changed.connect(self._show_image)
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
