"""The masks that one ambiguous click offers: shown, cycled and chosen; without any Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.masklets import MaskRecord
from napari_sam2.prompts import PointPrompt
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari_sam2.editing.change import Place
    from napari_sam2.widgets.object_choice import ObjectChoice
    from napari_sam2.widgets.open_movie import OpenMovie


@dataclass(frozen=True, slots=True)
class Offer:
    """What a click offers.

    Attributes
    ----------
    records : tuple of MaskRecord
        In the decoder's order.
    chosen : int
        Which of them is the object's mask.
    """

    records: tuple[MaskRecord, ...]
    chosen: int

    @classmethod
    def of(cls, records: tuple[MaskRecord, ...], answer: MaskRecord) -> Offer:
        """Find the answer among the masks."""
        return cls(records, records.index(answer) if answer in records else 0)

    @property
    def by_size(self) -> tuple[int, ...]:
        """Their indices, the smallest mask first: a part, the object, the whole."""
        return tuple(sorted(range(len(self.records)), key=lambda i: self.records[i].area))


class Candidates:
    """The offer of the object in work on the frame that is shown.

    Parameters
    ----------
    movie : callable
        Returns the movie in work, None without one.
    objects : ObjectChoice
    redraw : callable
        Has the labels drawn soon.
    """

    changed = Signal(object)
    """The `Offer` that there is, or None."""
    told = Signal(Status)
    """What to tell the user."""

    def __init__(
        self,
        movie: Callable[[], OpenMovie | None],
        objects: ObjectChoice,
        redraw: Callable[[], None],
    ) -> None:
        self._movie = movie
        self._objects = objects
        self._redraw = redraw
        self._known: Offer | None = None
        self._wanted: Place | None = None
        self._previewed: tuple[OpenMovie, Place] | None = None

    @property
    def offer(self) -> Offer | None:
        """The masks that there are to choose from, None where there are none."""
        movie, place = self._movie(), self._place()
        return None if movie is None or place is None else movie.offers.get(place)

    def next(self) -> None:
        """Choose the next larger mask, after the largest the smallest."""
        offer, movie, place = self.offer, self._movie(), self._place()
        if offer is not None:
            order = offer.by_size
            self.choose(order[(order.index(offer.chosen) + 1) % len(order)])
        elif movie is not None and place is not None and self._is_ambiguous(movie, place):
            # Answered before the session was reopened: the network has to look once more.
            self._wanted = place
            movie.ask_again(*place)
        else:
            self.told.emit(
                Status("There is nothing to choose: only an object's one click offers three masks")
            )

    def choose(self, index: int) -> None:
        """Make a mask, by its number in the decoder's order, that of the object on this frame.

        Raises
        ------
        ValueError
            If there is no such mask.
        """
        offer, movie, place = self.offer, self._movie(), self._place()
        if offer is None or movie is None or place is None:
            raise ValueError("there is nothing to choose: click an object once")
        if not 0 <= index < len(offer.records):
            raise ValueError(f"mask {index} is not there: choose 0 to {len(offer.records) - 1}")
        self.preview(None)
        movie.choose(*place, index)
        record = offer.records[index]
        number = offer.by_size.index(index) + 1
        self.told.emit(
            Status(
                f"Mask {number} of {len(offer.records)}: {record.area} pixels, "
                f"expected IoU {record.predicted_iou:.2f}"
            )
        )
        self._redraw()
        self.update()

    def preview(self, index: int | None) -> None:
        """Show a mask without choosing it; None shows the chosen one again."""
        shown, self._previewed = self._previewed, None
        if shown is not None:
            shown[0].layers.canvas.preview(*shown[1], None)
        offer, movie, place = self.offer, self._movie(), self._place()
        if index is not None and offer is not None and movie is not None and place is not None:
            movie.layers.canvas.preview(*place, offer.records[index])
            self._previewed = movie, place
        self._redraw()

    def update(self) -> None:
        """Tell when the offer has changed: another answer, object or frame."""
        place, offer = self._place(), self.offer
        if place is not None and place == self._wanted and offer is not None:
            self._wanted = None
            self.next()
            return
        if offer != self._known:
            if self._previewed is not None:
                self.preview(None)
            self._known = offer
            self.changed.emit(offer)

    def _place(self) -> Place | None:
        movie = self._movie()
        return None if movie is None else (self._objects.current, movie.frame)

    def _is_ambiguous(self, movie: OpenMovie, place: Place) -> bool:
        prompts = movie.document.prompts.on(*place)
        return len(prompts) == 1 and isinstance(prompts[0], PointPrompt)
