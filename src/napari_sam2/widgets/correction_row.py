"""Whether corrections are followed up by themselves, and a button that does it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from napari_sam2.widgets.keys import tip
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController


class CorrectionRow(QWidget):
    """What follows from a click or a stroke on a tracked frame.

    Parameters
    ----------
    controller : SegmentationController
        Follows corrections up.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        following = controller.following
        self._following = following
        self.automatic_box = QCheckBox("Follow up corrections")
        self.automatic_box.setToolTip(
            "After a click or stroke on a tracked frame, track that object anew around it, only\n"
            "until its masks agree with the old ones. The next click comes first.\n"
            "sam2.following.is_automatic = True"
        )
        self.automatic_box.setChecked(following.is_automatic)
        self.apply_button = plain_button("Apply correction", tip("follow_up"), following.apply)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.automatic_box, 1)
        layout.addWidget(self.apply_button)
        self.automatic_box.toggled.connect(self._set_automatic)
        following.automatic_changed.connect(self._show_automatic)
        controller.events.image_changed.connect(self._show_image)
        self._show_image(controller.image)

    def _show_image(self, image: object) -> None:
        self.setEnabled(image is not None)

    def _set_automatic(self, is_automatic: bool) -> None:
        self._following.is_automatic = is_automatic

    def _show_automatic(self, is_automatic: bool) -> None:
        self.automatic_box.setChecked(is_automatic)
