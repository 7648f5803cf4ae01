"""The masks that one click offers, as pictures: shown under the mouse, taken by a click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_sam2.widgets.keys import tip

if TYPE_CHECKING:
    from napari_sam2.widgets.candidates import Offer
    from napari_sam2.widgets.controller import SegmentationController

SIDE = 44
"""Pixels of a picture."""

_MARGIN = 0.15
"""Free border of a picture, in parts of the largest mask."""


class CandidatePanel(QWidget):
    """Three buttons, the smallest mask first.

    Parameters
    ----------
    controller : SegmentationController
        Knows the offer, and is told what was chosen.
    """

    def __init__(self, controller: SegmentationController) -> None:
        super().__init__()
        self._controller = controller
        self._offer: Offer | None = None
        self.label = QLabel("What was meant? (C)")
        self.buttons = [self._button(place) for place in range(3)]
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label, 1)
        for button in self.buttons:
            layout.addWidget(button)
        controller.candidates.changed.connect(self._show_offer)
        self._show_offer(controller.candidates.offer)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Show the mask that the mouse is on, and the chosen one again when it leaves."""
        if event.type() == QEvent.Type.Enter and self._offer is not None:
            place = self.buttons.index(watched)
            self._controller.candidates.preview(self._offer.by_size[place])
        elif event.type() == QEvent.Type.Leave:
            self._controller.candidates.preview(None)
        return False

    def _button(self, place: int) -> QPushButton:
        button = QPushButton()
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setIconSize(QSize(SIDE, SIDE))
        button.setFixedSize(SIDE + 14, SIDE + 6)
        button.clicked.connect(partial(self._choose, place))
        button.installEventFilter(self)
        return button

    def _choose(self, place: int, _checked: bool = False) -> None:
        if self._offer is not None:
            self._controller.candidates.choose(self._offer.by_size[place])

    def _show_offer(self, offer: Offer | None) -> None:
        """Draw the masks, or leave the place empty: nothing moves when a click is answered."""
        self._offer = offer
        for button in self.buttons:
            button.setEnabled(offer is not None)
            button.setChecked(False)
            button.setIcon(QIcon())
            button.setToolTip(tip("candidate"))
        self.label.setEnabled(offer is not None)
        if offer is None:
            return
        colour = self._colour()
        pictures = mask_pictures(offer, colour)
        for place, (index, button) in enumerate(zip(offer.by_size, self.buttons, strict=True)):
            record = offer.records[index]
            button.setIcon(QIcon(_pixmap(pictures[place])))
            button.setChecked(index == offer.chosen)
            button.setToolTip(
                f"{record.area} pixels, expected IoU {record.predicted_iou:.2f}\n"
                f"{tip('candidate')}\nsam2.candidates.choose({index})"
            )

    def _colour(self) -> NDArray[np.uint8]:
        layers = self._controller.layers
        labels = None if layers is None else layers.canvas.layer
        rgba = None if labels is None else labels.get_color(self._controller.objects.current)
        values = (1.0, 1.0, 1.0) if rgba is None else rgba[:3]
        return np.asarray(255 * np.asarray(values, float)).astype(np.uint8)


def mask_pictures(offer: Offer, colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the masks of an offer at one scale, the smallest first.

    Parameters
    ----------
    offer : Offer
    colour : ndarray of uint8, (3,)

    Returns
    -------
    ndarray of uint8, (M, SIDE, SIDE, 4)
        Transparent outside the masks.
    """
    records = [offer.records[index] for index in offer.by_size]
    out = np.zeros((len(records), SIDE, SIDE, 4), np.uint8)
    boxes = np.array([record.bbox for record in records if record.visible])
    if not len(boxes):
        return out
    (y0, x0), (y1, x1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max(y1 - y0, x1 - x0) * (1 + 2 * _MARGIN)
    centre = np.array([(y0 + y1) / 2, (x0 + x1) / 2])
    steps = (np.arange(SIDE) + 0.5) / SIDE * side - side / 2
    for picture, record in zip(out, records, strict=True):
        top, left, bottom, right = record.bbox
        rows = np.floor(centre[0] + steps).astype(int) - top
        columns = np.floor(centre[1] + steps).astype(int) - left
        is_row, is_column = (
            (rows >= 0) & (rows < bottom - top),
            (columns >= 0) & (columns < right - left),
        )
        if is_row.any() and is_column.any():
            seen = np.zeros((SIDE, SIDE), bool)
            seen[np.ix_(is_row, is_column)] = record.crop()[
                np.ix_(rows[is_row], columns[is_column])
            ]
            picture[seen] = (*colour, 255)
    return out


def _pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    data = np.ascontiguousarray(picture)
    image = QImage(data.data, SIDE, SIDE, 4 * SIDE, QImage.Format.Format_RGBA8888)
    return QPixmap.fromImage(image.copy())
