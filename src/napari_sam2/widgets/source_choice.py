"""Choosing axes, level and channels of the movie in work, from the dock and from Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari.layers import Image
from psygnal import Signal

from napari_sam2.widgets.source import (
    Channel,
    channels_of,
    choice_of,
    choose,
    colours_of,
    guess_axes,
    layout_of,
    level_data,
)
from napari_sam2.widgets.status import Status

if TYPE_CHECKING:
    from napari.components import ViewerModel


class SourceChoosing:
    """How the image in work is read.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose other images can be further channels.
    image : callable
        Returns the image in work, None without one.
    reopen : callable
        Begins anew on an image whose frames have become others.
    """

    told = Signal(Status)
    """What to tell the user."""
    changed = Signal()
    """Axes, level or channels are others now."""

    def __init__(
        self,
        viewer: ViewerModel,
        image: Callable[[], Image | None],
        reopen: Callable[[Image], None],
    ) -> None:
        self._viewer = viewer
        self._image = image
        self._reopen = reopen
        self._refused: Image | None = None

    @property
    def image(self) -> Image | None:
        """The image in work, or the one that was chosen last and could not be read."""
        image = self._image()
        return self._refused if image is None else image

    @property
    def axes(self) -> str:
        """Letter of each axis of `image`; other letters stand for axes that are not understood."""
        image = self.image
        if image is None:
            return ""
        try:
            return layout_of(image).axes
        except ValueError:
            return choice_of(image).axes or guess_axes(image.axis_labels, self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Length of each axis of `image`, at the level that is worked on."""
        image = self.image
        if image is None:
            return ()
        return tuple(map(int, level_data(image, choice_of(image).level).shape))[: image.ndim]

    def refuse(self, image: Image, reason: str) -> None:
        """Note an image that cannot be read before its axes are set, and say why."""
        self._refused = image
        self._say(reason)

    @property
    def level(self) -> int:
        """Level of a multiscale image that is worked on."""
        image = self._image()
        return 0 if image is None else choice_of(image).level

    @property
    def level_sizes(self) -> list[str]:
        """Height and width of each level; one entry for an image that is not multiscale."""
        image = self._image()
        if image is None:
            return []
        layout = layout_of(image)
        y, x = layout.axes.index("Y"), layout.axes.index("X")
        count = len(image.data) if image.multiscale else 1
        shapes = [level_data(image, level).shape for level in range(count)]
        return [f"{shape[y]} × {shape[x]}" for shape in shapes]

    @property
    def colours(self) -> tuple[int, int, int]:
        """Which of `channels` the network sees as red, green and blue."""
        image = self._image()
        return (0, 0, 0) if image is None else colours_of(image)

    def channels(self) -> list[Channel]:
        """Return what can be shown: channels of the image, and other images of the same size."""
        image = self._image()
        if image is None:
            return []
        known = [image, *choice_of(image).others]
        found = channels_of(image)
        shape = _frames(image)
        for layer in self._viewer.layers:
            is_other = isinstance(layer, Image) and layer not in known and not layer.rgb
            if is_other and _frames(layer) == shape:
                found += channels_of(layer)
        return found

    def set_axes(self, axes: str, image: Image | None = None) -> bool:
        """Say what each axis of the image means, such as ``"TZYX"``; whether that makes a movie.

        Also for an image that could not be read before.
        """
        image = self.image if image is None else image
        if image is None:
            return False
        return self._change(image, axes=axes, level=0, colours=None, others=())

    def set_level(self, level: int) -> bool:
        """Work on a level of a multiscale image, 0 the finest; whether there is one."""
        image = self._image()
        return image is not None and self._change(image, level=level)

    def set_channels(self, red: int, green: int | None = None, blue: int | None = None) -> bool:
        """Choose what the network sees, by numbers in `channels`; one alone is grey.

        Masks and prompts stay: the next click and the next run see the new channels.
        """
        image = self._image()
        found = self.channels()
        chosen = [red, red if green is None else green]
        chosen.append(chosen[-1] if blue is None else blue)
        if image is None:
            return False
        if not {*chosen} <= {*range(len(found))}:
            self._say(f"There are channels 0 to {len(found) - 1}: choose among them")
            return False
        others = tuple(
            dict.fromkeys(found[i].layer for i in sorted(chosen) if found[i].layer is not image)
        )
        try:
            listed = channels_of(image, replace(choice_of(image), others=others))
            places = [(one.layer, one.index) for one in listed]
            colours = tuple(places.index((found[i].layer, found[i].index)) for i in chosen)
            choose(image, others=others, colours=colours)
        except ValueError as error:
            self._say(str(error))
            return False
        self.changed.emit()
        return True

    def _change(self, image: Image, **changes: object) -> bool:
        try:
            choose(image, **changes)
        except ValueError as error:
            self._say(str(error))
            return False
        self._reopen(image)
        self.changed.emit()
        return True

    def _say(self, text: str) -> None:
        self.told.emit(Status(text, "error"))


def _frames(image: Image) -> tuple[int, ...] | None:
    """Return times, slices, height and width of an image; None if it is no movie."""
    try:
        layout = layout_of(image)
    except ValueError:
        return None
    return tuple(layout.length(letter) for letter in "TZYX")
