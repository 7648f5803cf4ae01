"""The layers that show results: masks in a Labels layer, their paths in a Tracks layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.layers import Tracks as TracksLayer
from numpy.typing import NDArray

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.planes import AxisLayout
from napari_sam2.widgets.coordinates import made_layout, placement
from napari_sam2.widgets.label_planes import LabelPlanes, Region

COLOURS = 5868
"""Seed of the colours. Of the first thirty objects those that follow each other differ most:
daughters have neighbouring ids and lie side by side. The first are bright, and unlike clicks."""

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sam2.tracking.tracks import Tracks


class LabelCanvas:
    """Writes masks into a Labels layer, each only where it changed.

    It keeps the masks that it wrote, so it can tell what the user painted since, and can fill a
    new layer when the old one was deleted.

    Parameters
    ----------
    shape : tuple of int
        Frames, height and width of the movie.
    on_paint : callable
        Called after the user edited the layer with a brush or the like.
    on_take_back : callable
        Called with True for undo and False for redo when their keys are pressed on the layer.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        on_paint: Callable[[], None],
        on_take_back: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.masklets = MaskletSet(shape)
        self.layer: Labels | None = None
        self._planes = LabelPlanes(AxisLayout("TYX", self.masklets.shape))
        self._on_paint = on_paint
        self._on_take_back = on_take_back
        self._outdated: set[int] = set()
        self._instead: tuple[int, int, MaskRecord] | None = None

    def create(self, image: Image) -> Labels:
        """Make a new layer that lies on the movie and shows every mask known."""
        self._planes = LabelPlanes(made_layout(image))
        data = self._planes.new()
        whole = (0, 0, *self.masklets.shape[1:])
        for frame in {frame for masklet in self.masklets for frame in masklet.records}:
            self._planes.write(data, frame, whole, self.masklets.labels(frame, data.dtype))
        layer = Labels(data, name=f"{image.name} objects", opacity=0.6, **placement(image))
        layer.new_colormap(COLOURS)
        self.attach(layer)
        return layer

    def attach(self, layer: Labels) -> None:
        """Write into this layer from now on."""
        self.detach()
        self.layer = layer
        layer.events.paint.connect(self._painted)
        # Napari's own undo of strokes knows nothing of what else was done between them.
        layer.bind_key("Control-Z", self._undo, overwrite=True)
        layer.bind_key("Control-Shift-Z", self._redo, overwrite=True)

    def detach(self) -> None:
        """Leave the layer as it is."""
        if self.layer is not None:
            self.layer.events.paint.disconnect(self._painted)
        self.layer = None
        self._outdated.clear()

    def put(self, frame: int, records: Iterable[tuple[int, MaskRecord | None]]) -> None:
        """Set, or with None remove, masks of a frame, and repaint the box that they cover."""
        region: Region | None = None
        for object_id, record in records:
            old = self.masklets.record(object_id, frame)
            if record is None:
                self.masklets.remove(object_id, [frame])
            else:
                self.masklets.write(object_id, frame, record)
            for changed in (old, record):
                if changed is not None and changed.visible:
                    region = _union(region, changed.bbox)
        if region is not None:
            self._repaint(frame, region)

    def preview(self, object_id: int, frame: int, record: MaskRecord | None) -> None:
        """Show another mask of an object on a frame for the moment; None ends that."""
        shown = self._instead
        self._instead = None if record is None else (object_id, frame, record)
        for owner, place, other in filter(None, (shown, self._instead)):
            own = self.masklets.record(owner, place)
            self._repaint(place, _union(None if own is None else own.bbox, other.bbox))

    def restore(self, frame: int) -> None:
        """Paint a frame anew with the masks that are known, over what the user drew."""
        self._repaint(frame, (0, 0, *self.masklets.shape[1:]))

    def remove_object(self, object_id: int) -> None:
        """Remove every mask of an object."""
        for frame in self.masklets.frames(object_id):
            self.put(frame, [(object_id, None)])

    def refresh(self, shown: int) -> None:
        """Draw again if the frame that is shown has changed."""
        if self.layer is not None and shown in self._outdated:
            self.layer.refresh(extent=False)
        # The others are read when the slider comes to them.
        self._outdated.clear()

    def painted(self, frame: int) -> dict[int, NDArray[np.bool_]]:
        """Return the objects that the user changed by hand on a frame, and their pixels now."""
        plane = self._plane(frame)
        if plane is None:
            return {}
        before = self.masklets.labels(frame)
        changed = plane != before
        ids = np.union1d(plane[changed], before[changed])
        return {int(owner): np.asarray(plane == owner) for owner in ids if owner > 0}

    def _repaint(self, frame: int, region: Region) -> None:
        """Write the masks of a frame into one box of the layer."""
        data = self._data()
        if data is None:
            return
        y0, x0, y1, x1 = region
        window = np.zeros((y1 - y0, x1 - x0), dtype=data.dtype)
        found = {one.object_id: one.records[frame] for one in self.masklets
                 if frame in one.records}  # fmt: skip
        if self._instead is not None and self._instead[1] == frame:
            found[self._instead[0]] = self._instead[2]
        # As in MaskletSet.paste: the smaller object on top.
        for object_id, record in sorted(found.items(), key=lambda item: (-item[1].area, item[0])):
            _paste(window, region, record, object_id)
        self._planes.write(data, frame, region, window)
        self._outdated.add(frame)

    def _data(self) -> Any:
        """Return the layer's array, None if it was replaced by something else."""
        is_there = self.layer is not None and self._planes.fits(self.layer.data)
        return self.layer.data if self.layer is not None and is_there else None

    def _plane(self, frame: int) -> Any:
        """Return the layer's pixels of a frame, None if its data was replaced."""
        data = self._data()
        return None if data is None else self._planes.read(data, frame)

    # Napari asks key callbacks for their names, so these are methods.

    def _undo(self, _layer: Labels) -> None:
        self._on_take_back(True)

    def _redo(self, _layer: Labels) -> None:
        self._on_take_back(False)

    def _painted(self) -> None:
        # Napari says so before it writes some kinds of edits; look at the pixels later.
        self._on_paint()


class TrackLines:
    """Shows the paths of the objects once a run has ended."""

    def __init__(self) -> None:
        self.layer: TracksLayer | None = None

    def show(
        self, tracks: Tracks, image: Image, labels: Labels | None = None
    ) -> TracksLayer | None:
        """Update the layer; return a new one to be added when there was none.

        Paths have the colours of `labels`, so an object is known by one colour.
        An empty table shows nothing: napari cannot hold a Tracks layer without tracks.
        """
        placed = track_table(tracks, made_layout(image))
        if placed is None or len(tracks.table) == 0:
            if self.layer is not None:
                self.layer.visible = False
            return None
        if self.layer is None:
            table, ndim = placed
            where = placement(image)
            self.layer = TracksLayer(
                table,
                graph=tracks.graph,
                name=f"{image.name} tracks",
                tail_length=10,
                color_by="track_id",
                colormaps_dict=None if labels is None else {"track_id": labels.colormap},
                **_last_axes(where, ndim),
            )
            return self.layer
        self.layer.graph = {}  # the old one may name tracks that are gone
        self.layer.data = placed[0]
        self.layer.graph = tracks.graph
        self.layer.visible = True
        return None


def track_table(tracks: Tracks, layout: AxisLayout) -> tuple[NDArray[np.float64], int] | None:
    """Return tracks in the axes of a layer and how many of its last ones these are.

    None where napari's Tracks cannot show them: there is no time, time is not the first axis but
    for channels, or there are more than two axes between time and the picture.
    """
    first = layout.axes.find("T")
    if first < 0:  # a stack: depth stands for time
        first = layout.axes.find("Z")
    axes = layout.axes[first:]
    is_led_by_more = any(one not in "C?" for one in layout.axes[:first])
    if first < 0 or is_led_by_more or len(axes) > 4 or not axes.endswith("YX"):
        return None
    columns = {"Y": tracks.table[:, -2], "X": tracks.table[:, -1], axes[0]: tracks.table[:, 1]}
    if tracks.table.shape[1] == 5:
        columns["Z"] = tracks.table[:, 2]
    nothing = np.zeros(len(tracks.table))
    table = [tracks.table[:, 0], *(columns.get(axis, nothing) for axis in axes)]
    return np.stack(table, axis=1), len(axes)


def _last_axes(placed: dict[str, Any], ndim: int) -> dict[str, Any]:
    """Return where a layer of fewer axes lies; napari shows it in the last axes of the viewer."""
    if len(placed["scale"]) == ndim:
        return placed
    names = ("scale", "translate", "units", "axis_labels")
    return {name: tuple(placed[name])[-ndim:] for name in names}


def _paste(window: NDArray, region: Region, record: MaskRecord, object_id: int) -> None:
    """Write the part of a mask that lies in a region into the pixels of that region."""
    y0, x0 = max(region[0], record.bbox[0]), max(region[1], record.bbox[1])
    y1, x1 = min(region[2], record.bbox[2]), min(region[3], record.bbox[3])
    if y0 >= y1 or x0 >= x1:
        return
    top, left = record.bbox[:2]
    inside = record.crop()[y0 - top : y1 - top, x0 - left : x1 - left]
    window[y0 - region[0] : y1 - region[0], x0 - region[1] : x1 - region[1]][inside] = object_id


def _union(a: Region | None, b: Region) -> Region:
    """Return the smallest box around two."""
    if a is None:
        return b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
