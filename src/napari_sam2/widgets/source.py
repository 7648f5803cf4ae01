"""How an image layer is read as a movie: its axes, its level, and the channels that are shown."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.planes import AxisLayout, PlaneGrid
from napari_sam2.predictor.composed_frames import ChannelFrames
from napari_sam2.predictor.frames import ArrayFrames
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt

if TYPE_CHECKING:
    from napari.layers import Image

METADATA_KEY = "napari-sam2"
CHOICE_KEY = "source"
SMALLEST_BOX = 1.0
"""Pixels; a smaller box is a slip of the mouse."""

_MOST_CHANNELS = 4
"""An axis without a name, before y and x, of at most this length is taken for channels."""

_SPARE = "ABDEFGHIJKLMNOPQRUVW"

_NAMES = {
    "T": ("t", "time", "frame", "timepoint"),
    "Z": ("z", "depth", "slice", "plane"),
    "C": ("c", "ch", "channel", "channels", "s", "rgb"),
    "Y": ("y", "row", "rows", "height"),
    "X": ("x", "column", "columns", "width"),
}


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """What a user chose about an image layer; kept in the layer's metadata.

    Attributes
    ----------
    axes : str or None
        Letter of each axis, as in `planes.ROLES`; guessed from labels and shape if None.
    level : int
        Level of a multiscale layer, 0 the finest.
    others : tuple of napari.layers.Image
        Layers whose channels follow those of this one.
    colours : tuple of int or None
        Channels that the network sees as red, green and blue; all the same for grey.
    """

    axes: str | None = None
    level: int = 0
    others: tuple[Image, ...] = ()
    colours: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Movie:
    """An image layer as the engine reads it.

    Attributes
    ----------
    data : ChannelFrames
        The frames that the network sees, with the chosen channels; read when they are asked for.
    raw : ArrayFrames
        The frames of the layer alone, with all its channels.
    layout : AxisLayout
        Axes of the layer at the chosen level.
    low, high, gamma : tuple of float
        Intensities that are shown black and white, and the exponent, one for each channel of
        `data`.
    channels : tuple of int
        Channels of `data` that the network takes for red, green and blue.
    """

    data: ChannelFrames = field(repr=False)
    raw: ArrayFrames = field(repr=False)
    layout: AxisLayout
    low: tuple[float, ...]
    high: tuple[float, ...]
    gamma: tuple[float, ...]
    channels: tuple[int, int, int]
    look: tuple[Any, ...] = field(repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width; of a movie of stacks every plane is a frame."""
        return self.data.shape

    @property
    def grid(self) -> PlaneGrid:
        """Times and slices."""
        return self.layout.grid

    @property
    def axes(self) -> str:
        """Letter of each axis of the layer."""
        return self.layout.axes

    def problem_with(self, prompt: Prompt) -> str | None:
        """Say why a prompt cannot be taken, or None if it can."""
        frames, height, width = self.shape
        if not 0 <= prompt.frame < frames:
            if not self.grid.is_line:
                return (
                    f"The prompt lies on no plane of the movie: it has times 0 to "
                    f"{self.grid.times - 1} and slices 0 to {self.grid.slices - 1}"
                )
            return f"Frame {prompt.frame} is outside the movie: it has frames 0 to {frames - 1}"
        if isinstance(prompt, BoxPrompt):
            y0, x0, y1, x1 = prompt.yxyx
            if min(y1 - y0, x1 - x0) < SMALLEST_BOX:
                return "The box is too small or outside the image: drag it over the whole object"
        if isinstance(prompt, MaskPrompt) and not prompt.bits:
            return "The outline is too small or outside the image: draw it around the object"
        if isinstance(prompt, PointPrompt):
            y, x = prompt.yx
            if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
                return f"The point (y {y:.0f}, x {x:.0f}) is outside the image: click inside it"
        return None


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel that can be shown to the network."""

    name: str
    layer: Image
    index: int | None
    low: float
    high: float
    gamma: float


def choice_of(layer: Image) -> SourceChoice:
    """Return what was chosen about a layer."""
    about = layer.metadata.get(METADATA_KEY, {})
    choice = about.get(CHOICE_KEY)
    return choice if isinstance(choice, SourceChoice) else SourceChoice(axes=about.get("axes"))


def choose(layer: Image, **changes: Any) -> None:
    """Change what was chosen about a layer.

    Raises
    ------
    ValueError
        If the layer cannot be read so; nothing is changed then.
    """
    choice = replace(choice_of(layer), **changes)
    movie_of(layer, choice)
    about = {**layer.metadata.get(METADATA_KEY, {}), CHOICE_KEY: choice}
    layer.metadata = {**layer.metadata, METADATA_KEY: about}


def level_data(layer: Image, level: int = 0) -> Any:
    """Return the array of a layer, of a multiscale one that of a level."""
    if not layer.multiscale:
        return layer.data
    if not 0 <= level < len(layer.data):
        raise ValueError(f"{layer.name!r} has levels 0 to {len(layer.data) - 1}, not {level}")
    return layer.data[level]


def layout_of(layer: Image, choice: SourceChoice | None = None) -> AxisLayout:
    """Return the meaning of each axis of a layer, without the colours of an RGB one.

    Raises
    ------
    ValueError
        If its axes make no movie; the message says why and what to do.
    """
    choice = choice_of(layer) if choice is None else choice
    sizes = tuple(map(int, level_data(layer, choice.level).shape))[: layer.ndim]
    if 0 in sizes:
        raise ValueError(f"{layer.name!r} has no pixels: its shape is {sizes}")
    axes = choice.axes or guess_axes(tuple(layer.axis_labels), sizes)
    try:
        return _layout(axes, sizes)
    except ValueError as error:
        raise ValueError(f"{layer.name!r} is no movie yet: {error}; set its axes") from None


# Both are asked for at every movement of the mouse, and dozens of times for a click.
@lru_cache(maxsize=256)
def _layout(axes: str, sizes: tuple[int, ...]) -> AxisLayout:
    return AxisLayout.of(axes, sizes)


@lru_cache(maxsize=256)
def guess_axes(labels: tuple[str, ...], sizes: tuple[int, ...]) -> str:
    """Return a letter for each axis, by its label or else by its length and place."""
    letters: list[str | None] = [_letter(label) for label in labels]
    counts = Counter(letters)
    letters = [letter if counts[letter] == 1 else None for letter in letters]
    for letter in "XY":
        free = [i for i, one in enumerate(letters) if one is None]
        if letter not in letters and free:
            letters[free[-1]] = letter
    free = [i for i, one in enumerate(letters) if one is None]
    wanted = [letter for letter in "TZ" if letter not in letters]
    small = [i for i in free if 1 < sizes[i] <= _MOST_CHANNELS]
    if "C" not in letters and small and len(free) > 1:
        # The second of (T, C, Y, X), the third of (T, Z, C, Y, X): the last but the first.
        chosen = min(small, key=lambda i: (sizes[i], -i))
        letters[chosen] = "C"
        free.remove(chosen)
    for index in free:
        letters[index] = wanted.pop(0) if wanted else None
    spare = iter(_SPARE)
    return "".join(letter or next(spare) for letter in letters)


def _letter(label: str) -> str | None:
    word = re.sub(r"[^a-z]", "", label.lower())
    return next((letter for letter, names in _NAMES.items() if word in names), None)


def channels_of(layer: Image, choice: SourceChoice | None = None) -> list[Channel]:
    """Return every channel of a layer and of those that were added to it."""
    choice = choice_of(layer) if choice is None else choice
    found = []
    for one in (layer, *choice.others):
        how = choice if one is layer else choice_of(one)
        layout = layout_of(one, replace(how, level=choice.level if one.multiscale else 0))
        if one.rgb:
            white = _white(one)
            names = ("red", "green", "blue", "alpha")
            count = int(level_data(one).shape[-1])
            found += [Channel(f"{one.name}: {names[i]}", one, i, 0.0, white, 1.0)
                      for i in range(count)]  # fmt: skip
            continue
        low, high = map(float, one.contrast_limits)
        indices = range(layout.length("C")) if "C" in layout.axes else (None,)
        for index in indices:
            name = one.name if index is None else f"{one.name}: {index}"
            found.append(Channel(name, one, index, low, high, float(one.gamma)))
    return found


def colours_of(layer: Image, choice: SourceChoice | None = None) -> tuple[int, int, int]:
    """Return the channels that the network sees as red, green and blue."""
    choice = choice_of(layer) if choice is None else choice
    if choice.colours is not None:
        return choice.colours
    return (0, 1, 2) if layer.rgb else (0, 0, 0)


def movie_of(layer: Image, choice: SourceChoice | None = None) -> Movie:
    """Read an image layer as a movie, with what its contrast limits and gamma show.

    Parameters
    ----------
    layer : napari.layers.Image
        Time, z, channels, y and x in any order, or red, green and blue last; a picture is a movie
        of one frame.
    choice : SourceChoice, optional
        How to read it; what was chosen before by default.

    Raises
    ------
    ValueError
        If the layer has other axes, no pixels, or is mixed with layers of another size.
    """
    choice = choice_of(layer) if choice is None else choice
    layout = layout_of(layer, choice)
    channels, colours = channels_of(layer, choice), colours_of(layer, choice)
    if not {*colours} <= {*range(len(channels))}:
        raise ValueError(
            f"channels {colours} are not all there: {layer.name!r} has 0 to {len(channels) - 1}"
        )
    red, green, blue = colours
    used = [i for i, one in enumerate(channels) if i in colours or one.layer.rgb]
    shown = [channels[i] for i in used]
    return Movie(
        data=_frames(layer, choice, shown),
        raw=_array(layer, choice),
        layout=layout,
        low=tuple(one.low for one in shown),
        high=tuple(one.high for one in shown),
        gamma=tuple(one.gamma for one in shown),
        channels=(used.index(red), used.index(green), used.index(blue)),
        look=tuple((id(channels[i].layer), channels[i].index, channels[i].low, channels[i].high,
                    channels[i].gamma) for i in colours),
    )  # fmt: skip


def _frames(layer: Image, choice: SourceChoice, shown: list[Channel]) -> ChannelFrames:
    """Return the frames of the channels that are shown, in their order."""
    sources = []
    for one in dict.fromkeys(channel.layer for channel in shown):
        indices = [channel.index for channel in shown if channel.layer is one]
        how = choice if one is layer else replace(choice_of(one), level=0)
        if one is not layer and one.multiscale:
            how = replace(how, level=choice.level)
        wanted = None if one.rgb or None in indices else [i for i in indices if i is not None]
        sources.append(_array(one, how, wanted))
    sizes = {source.shape for source in sources}
    if len(sizes) > 1:
        listed = " and ".join(f"{one.shape}" for one in sources)
        raise ValueError(
            f"the channels have different sizes, {listed} (frames, height, width): choose layers "
            "of the same size, or resample one of them first"
        )
    return ChannelFrames(sources)


def _array(layer: Image, choice: SourceChoice, wanted: list[int] | None = None) -> ArrayFrames:
    # An axis of length 1 without a meaning may have any letter that is free.
    spare = iter(_SPARE)
    axes = (next(spare) if one == "?" else one for one in layout_of(layer, choice).axes)
    named = "".join(axes) + ("C" if layer.rgb else "")
    return ArrayFrames(level_data(layer, choice.level), named, wanted)


def _white(layer: Image) -> float:
    kind = np.dtype(layer.dtype)
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
