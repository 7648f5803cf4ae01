"""Which view an object is seen in: the whole frame, or a window that follows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from napari_sam2.model.config import SAM2Config
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.transforms import View

BoundingBox = tuple[int, int, int, int]

_STEPS_PER_OCTAVE = 2
"""Sides of views are powers of sqrt(2), so that objects of similar size can share one."""

_SMALLEST_KEPT, _LARGEST_KEPT = 0.4, 2.0
"""A view is kept while the wanted side is between these parts of its own."""

_SMALLEST_SHARED, _LARGEST_SHARED = 0.7, 1.5
"""A view is shared by objects whose wanted side is between these parts of its own."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """The view that suits an object: around its box, of a side, at a gamma."""

    bbox: BoundingBox
    side: int
    gamma: float

    @property
    def center(self) -> tuple[float, float]:
        return _center(self.bbox)


@dataclass(frozen=True, slots=True)
class ViewPlanner:
    """Rules for following views.

    Parameters
    ----------
    frame_shape : tuple of 2 int
        Height and width of the frames.
    input_size : int
        Side of the network's input.
    extent : float
        Side of a view in diameters of the object.
    margin : float
        Free border as a part of the view's side.
    is_following : bool
        Follow objects; else every view is the whole frame.
    is_brightening : bool
        Show dim objects brighter; else every view has a gamma of 1.
    """

    frame_shape: tuple[int, int]
    input_size: int
    extent: float
    margin: float
    is_following: bool
    is_brightening: bool = False

    @classmethod
    def of(
        cls, options: PredictorOptions, config: SAM2Config, frame_shape: tuple[int, int]
    ) -> ViewPlanner:
        """Make the rules that the options ask for with a network."""
        extent, margin = options.view_extent, options.view_margin
        follows, brightens = options.follows(config), options.brightens(config)
        return cls(frame_shape, config.input_size, extent, margin, follows, brightens)

    @property
    def whole(self) -> View:
        """The trivial view."""
        return View.whole(self.frame_shape, (self.input_size, self.input_size))

    def first_view(
        self, yx: tuple[float, float], side: int | None = None, gamma: float = 1.0
    ) -> View:
        """View around a point of an object whose size is not known yet."""
        if not self.is_following:
            return self.whole
        return self._square(yx, side or self.input_size, gamma if self.is_brightening else 1.0)

    def view_of(
        self,
        bbox: BoundingBox,
        current: View | None,
        others: Iterable[View],
        gamma: float | None = None,
    ) -> View:
        """Choose the view for an object.

        Parameters
        ----------
        bbox : tuple of 4 int
            Box of the object, in frame edges, half open.
        current : View or None
            View that the object was last seen in; kept as long as it fits, since changing it
            means encoding the object's memories again.
        others : iterable of View
            Views that other objects use on this frame; sharing one shares its features.
        gamma : float or None
            Of the view; that of the current one, or 1 without one, if None.

        Returns
        -------
        View
        """
        if not self.is_following:
            return self.whole
        wish = self._wish(bbox, current, gamma)
        if current is not None and self._keeps(current, wish):
            return current
        shared = [v for v in others if self._shares(v, wish)]
        if shared:
            return min(shared, key=lambda v: math.dist(_center(v.corners), wish.center))
        return self._square(wish.center, wish.side, wish.gamma)

    def views_of(
        self, objects: Mapping[int, tuple[BoundingBox | None, View | None]]
    ) -> dict[int, View]:
        """Choose the views of all objects of a frame, so that few views serve many objects.

        Parameters
        ----------
        objects : mapping
            Object id to its last box (None where it was not seen) and its current view.

        Returns
        -------
        dict
            Object id to its view. Views that fit are kept; the others are chosen greedily: the
            view that holds the most objects comes first.
        """
        views: dict[int, View] = {}
        waiting: dict[int, _Wish] = {}
        for object_id, (bbox, current) in objects.items():
            if not self.is_following:
                views[object_id] = self.whole
            elif bbox is None:
                views[object_id] = current or self.whole
            else:
                wish = self._wish(bbox, current)
                if current is not None and self._keeps(current, wish):
                    views[object_id] = current
                else:
                    waiting[object_id] = wish
        for object_id, wish in list(waiting.items()):
            shared = [v for v in set(views.values()) if self._shares(v, wish)]
            if shared:
                views[object_id] = shared[0]
                del waiting[object_id]
        offers = {i: self._square(w.center, w.side, w.gamma) for i, w in waiting.items()}
        return views | self._cover(waiting, offers)

    def shared_views(
        self, objects: Mapping[int, tuple[BoundingBox, View | None]]
    ) -> dict[int, View]:
        """Choose views for objects that start together, leaving views that fit for shared ones.

        Parameters
        ----------
        objects : mapping
            Object id to its box and the view that it was prompted in.

        Returns
        -------
        dict
            Object id to its view.
        """
        if not self.is_following:
            return dict.fromkeys(objects, self.whole)
        wishes = {i: self._wish(bbox, current) for i, (bbox, current) in objects.items()}
        offers = {}
        for object_id, (_, current) in objects.items():
            wish = wishes[object_id]
            fits = current is not None and self._keeps(current, wish)
            alone = self._square(wish.center, wish.side, wish.gamma)
            offers[object_id] = current if current and fits else alone
        return self._cover(wishes, offers)

    def _cover(self, waiting: Mapping[int, _Wish], offers: Mapping[int, View]) -> dict[int, View]:
        views: dict[int, View] = {}
        left = set(waiting)
        while left:
            groups = [
                self._group(seed, side, left, waiting)
                for seed in sorted(left)
                for side in self._sides_to_share(waiting[seed].side)
            ]
            # Many objects first; among equals the smaller view, which shows them larger.
            group, shared = max(groups, key=lambda found: (len(found[0]), -found[1].height))
            # Alone, an object stays in the view that it is offered: its memories are there.
            view = offers[group[0]] if len(group) == 1 else shared
            views |= dict.fromkeys(group, view)
            left -= set(group)
        return views

    def _sides_to_share(self, side: int) -> tuple[int, ...]:
        """Sides of the views that an object may share: its own, and one step larger."""
        larger = min(round(side * 2 ** (1 / _STEPS_PER_OCTAVE)), max(self.frame_shape))
        return (side, larger) if larger > side else (side,)

    def _group(
        self, seed: int, side: int, left: Iterable[int], wishes: Mapping[int, _Wish]
    ) -> tuple[list[int], View]:
        """Gather the objects nearest to a seed that one view of a side can hold with margin."""
        center, around, gamma = wishes[seed].center, wishes[seed].bbox, wishes[seed].gamma
        view = self._square(center, side, gamma)
        group = [seed]
        for other in sorted(left, key=lambda i: math.dist(wishes[i].center, center)):
            union = _union(around, wishes[other].bbox)
            wider = self._square(_center(union), side, gamma)
            is_alike = (
                wishes[other].gamma == gamma
                and _SMALLEST_SHARED <= wishes[other].side / side <= _LARGEST_SHARED
            )
            if other != seed and is_alike and self._holds(wider, union):
                group.append(other)
                around, view = union, wider
        return group, view

    def _wish(self, bbox: BoundingBox, current: View | None, gamma: float | None = None) -> _Wish:
        """Say what view suits an object; the gamma stays as it is where none is given."""
        if not self.is_brightening:
            gamma = 1.0
        elif gamma is None:
            gamma = 1.0 if current is None else current.gamma
        return _Wish(bbox, self.side_of(bbox), gamma)

    def side_of(self, bbox: BoundingBox) -> int:
        """Side in frame pixels of the view that suits an object."""
        diameter = max(bbox[2] - bbox[0], bbox[3] - bbox[1], 1)
        octaves = math.log2(diameter * self.extent / self.input_size)
        step = round(octaves * _STEPS_PER_OCTAVE) / _STEPS_PER_OCTAVE
        # The object with its margin has to fit, whatever was asked for.
        least = diameter / (1 - 2 * self.margin) + 2
        wanted = max(round(self.input_size * 2**step), math.ceil(least))
        return min(wanted, max(self.frame_shape))

    def _square(self, yx: tuple[float, float], side: int, gamma: float) -> View:
        view = View.square(yx, side, self.frame_shape, (self.input_size, self.input_size))
        return replace(view, gamma=gamma)

    def _holds(self, view: View, bbox: BoundingBox) -> bool:
        return view.contains(bbox, self.margin * view.height)

    def _keeps(self, view: View, wish: _Wish) -> bool:
        is_alike = _SMALLEST_KEPT <= wish.side / view.height <= _LARGEST_KEPT
        return is_alike and view.gamma == wish.gamma and self._holds(view, wish.bbox)

    def _shares(self, view: View, wish: _Wish) -> bool:
        is_alike = _SMALLEST_SHARED <= wish.side / view.height <= _LARGEST_SHARED
        return is_alike and view.gamma == wish.gamma and self._holds(view, wish.bbox)


def _center(bbox: BoundingBox) -> tuple[float, float]:
    return (bbox[0] + bbox[2] - 1) / 2, (bbox[1] + bbox[3] - 1) / 2


def _union(a: BoundingBox, b: BoundingBox) -> BoundingBox:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
