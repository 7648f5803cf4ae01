"""What a session says beside prompts and masks: network, intensities, axes, the way of runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_sam2.io.session_movie import open_session_movie
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.widgets.pixel_size import keep_calibration, scale_of
from napari_sam2.widgets.source import (
    SourceChoice,
    channels_of,
    choice_of,
    choose,
    colours_of,
    movie_of,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.io.session_file import SessionRecord
    from napari_sam2.widgets.models import Models
    from napari_sam2.widgets.route import Route
    from napari_sam2.widgets.source_choice import SourceChoosing


class SessionSettings:
    """Reads them from the window to save them, and brings them back.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers may be channels.
    models : Models
        The network in use.
    route : Route
        Which way runs go through a movie of stacks.
    source : SourceChoosing
        Is told when channels are others.
    """

    def __init__(
        self, viewer: ViewerModel, models: Models, route: Route, source: SourceChoosing
    ) -> None:
        self._viewer = viewer
        self._models = models
        self._source = source
        self.route = route

    def of(self, image: Image) -> dict[str, Any]:
        """Return what to write into a session of this image, as JSON."""
        channels, choice = channels_of(image), choice_of(image)
        layout = movie_of(image).layout
        layers = [image, *choice.others]
        return {
            "model": self._models.name,
            "model_sha256": self._models.sha256,
            "device": self._models.device,
            "options": dataclasses.asdict(PredictorOptions()),
            "intensities": {
                "low": [one.low for one in channels],
                "high": [one.high for one in channels],
                "channels": list(colours_of(image)),
                "gamma": [one.gamma for one in channels],
            },
            "axes": layout.axes,
            **scale_of(image, layout).as_settings(),
            "level": choice.level,
            "layers": [one.name for one in layers],
            "route": {"along": self.route.along, "only_here": self.route.only_here},
        }

    def prepare(self, image: Image, settings: Mapping[str, Any]) -> None:
        """Have an image read with the axes and at the level that a session was made with.

        What a user has chosen about the layer stays.
        """
        axes, level = settings.get("axes"), settings.get("level", 0)
        is_new = choice_of(image) == SourceChoice()
        if not is_new or not isinstance(axes, str) or len(axes) != image.ndim:
            return
        spare = iter("ABDEFGHI")  # for axes of length 1 that mean nothing
        named = "".join(next(spare) if one == "?" else one for one in axes)
        try:
            choose(image, axes=named, level=int(level))
        except (ValueError, TypeError):
            return  # another movie; that is said when its size is compared

    def restore(self, image: Image, settings: Mapping[str, Any]) -> str | None:
        """Show a movie as the network saw it when a session was saved.

        Parameters
        ----------
        image : napari.layers.Image
        settings : mapping
            As `of` makes them; what is missing is left alone.

        Returns
        -------
        str or None
            What could not be brought back, and what to do.
        """
        keep_calibration(image, settings)
        way = settings.get("route") or {}
        self.route.go(way.get("along", self.route.along), way.get("only_here", False))
        self._models.want(str(settings.get("model", "")), str(settings.get("model_sha256", "")))
        problem = self._restore_look(image, settings)
        self._source.changed.emit()
        return problem

    def _restore_look(self, image: Image, settings: Mapping[str, Any]) -> str | None:
        """Bring contrast, gamma and channels back."""
        others, missing = self._named(image, settings.get("layers") or [image.name])
        if missing:
            return f"the session shows {' and '.join(missing)}, too: open it and choose its channel"
        shown = settings.get("intensities") or {}
        try:
            choose(image, others=others)
            channels = channels_of(image)
            values = list(zip(shown["low"], shown["high"], shown["gamma"], strict=True))
            if len(values) != len(channels):
                return None  # written by a version that kept only what was shown
            for channel, (low, high, gamma) in zip(channels, values, strict=True):
                _show(channel.layer, (float(low), float(high)), float(gamma))
            choose(image, colours=tuple(map(int, shown["channels"])))
        except (KeyError, TypeError, ValueError):
            return "how it was shown could not be read: set contrast and channels"
        return None

    def _named(self, image: Image, names: list[str]) -> tuple[tuple[Image, ...], list[str]]:
        """Return the layers that are channels beside the image, and names that are not there."""
        layers = {
            one.name: one
            for one in self._viewer.layers
            if isinstance(one, Image) and one is not image
        }
        found = tuple(layers[name] for name in names[1:] if name in layers)
        return found, [name for name in names[1:] if name not in layers]


def _show(layer: Image, limits: tuple[float, float], gamma: float) -> None:
    if layer.rgb or not limits[0] < limits[1]:
        return
    if tuple(layer.contrast_limits) != limits:
        low, high = layer.contrast_limits_range
        layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
        layer.contrast_limits = limits
    if layer.gamma != gamma:
        layer.gamma = gamma


def movie_layer(record: SessionRecord) -> tuple[Any, dict[str, Any]]:
    """Open the movie of a session.

    Parameters
    ----------
    record : SessionRecord
        Its movie came from a file.

    Returns
    -------
    array-like
        The pixels, lazy.
    dict
        What goes under ``"napari-sam2"`` into the layer's metadata.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is not there, or is no movie.
    """
    array, axes = open_session_movie(record)
    about = {"movie": str(record.movie.path)}
    return array, about if axes is None else {**about, "axes": axes}
