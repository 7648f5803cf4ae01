"""Clicks that correct a mask are heeded: what they say of their pixels holds, the rest stays.

A network that answers a correction often leaves the clicked pixel as it was. Such an answer is
moved until it does not, by a scale and a shift of every feature channel that are found by gradient
descent (feature back-propagating refinement, Sofiiuk et al., "f-BRS", CVPR 2020), and of that only
the change that hangs together with the click is taken. So it is with the answer itself where the
mask was tracked: what nobody clicks has been looked at (the progressive merge of Chen et al.,
"FocalClick", CVPR 2022). And how far from the border a click lies says how large its error is:
nothing changes that lies deeper, or far away. On a new object every answer is a better one. A mask
that only negative clicks speak of keeps a positive one where it is deepest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.prompt_encoder import NEGATIVE, POSITIVE
from napari_sam2.predictor.prompt_tensors import Geometry

__all__ = [
    "FINE",
    "Clicked",
    "finely",
    "is_at_border",
    "moved",
    "near_clicks",
    "with_heart",
    "within_reach",
]

_STEPS = 8
"""Steps of descent at most; most answers need three or four, of 70 ms each on one core."""
_RATE = 0.05
_WANTED, _ENOUGH = 1.0, 0.5
"""Logit that clicked pixels are moved towards, and from which on they are left alone."""
_KEPT = 2.0
"""Weight of the rest of the mask, which should stay."""

_DEPTH = 0.6
"""A point that is left of an object lies this deep in it, as a part of the deepest one: who clicks
the very middle of a mask away means all of it."""

FINE = 4
"""Parts of a cell of a mask, along each side: about as fine as the frame is seen."""
_DEEPER, _ASIDE = 1.5, 12.0
"""A mask changes at most so much deeper than a click on its error lies, and so far from it, in
depths of the click. In the middle of a straight seam a click is half as deep as that; but what the
network adds in the last quarter is as often wrong as right."""
_PULLS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the new mask that the cell of a click may need to heed it."""


@dataclass(frozen=True, slots=True)
class Clicked:
    """Where clicks lie in a mask.

    Attributes
    ----------
    places : ndarray, (P, 2) float
        Row and column, whole at the upper left corners of the mask's cells.
    inside : Tensor, (P,) bool
        Whether the object is there.
    """

    places: NDArray[np.float64]
    inside: Tensor

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the cells that the clicks lie in."""
        return self.places[:, 0].astype(np.int64)

    @property
    def columns(self) -> NDArray[np.int64]:
        """Columns of the cells that the clicks lie in."""
        return self.places[:, 1].astype(np.int64)

    def heeded(self, logits: Tensor) -> Tensor:
        """Tell which clicks a mask (h, w) heeds, cell by cell, (P,) bool."""
        return (logits[self.rows, self.columns] > 0) == self.inside

    def only(self, which: Tensor) -> Clicked:
        """Return some of the clicks."""
        return Clicked(self.places[which.cpu().numpy()], self.inside[which])

    def finely(self) -> Clicked:
        """Return the clicks in a mask whose cells are those that `finely` makes of this one."""
        return Clicked(self.places * FINE, self.inside)


def with_heart(geometry: Geometry, record: MaskRecord | None) -> Geometry:
    """Add a positive click on what is left of a mask that only negative ones speak of.

    Parameters
    ----------
    geometry : Geometry
        Prompts on a frame.
    record : MaskRecord or None
        The mask that they correct.

    Returns
    -------
    Geometry
        The same where there is a positive click or a box, no mask, or hardly anything left of it.
    """
    is_negative = len(geometry.labels) > 0 and bool((geometry.labels == NEGATIVE).all())
    if not is_negative or record is None or not record.visible:
        return geometry
    y0, x0, y1, x1 = record.bbox
    depth = ndimage.distance_transform_edt(np.pad(record.crop(), 1))[1:-1, 1:-1]
    deepest = depth.max()
    rows, columns = np.mgrid[y0:y1, x0:x1]
    for y, x in geometry.points:
        depth = np.minimum(depth, np.hypot(rows - y, columns - x))
    row, column = divmod(int(depth.argmax()), x1 - x0)
    if depth[row, column] < _DEPTH * deepest:
        return geometry
    points = np.vstack([[(y0 + row, x0 + column)], geometry.points])
    return replace(geometry, points=points, labels=np.append(POSITIVE, geometry.labels))


def near_clicks(logits: Tensor, before: Tensor, clicked: Clicked) -> Tensor:
    """Take of a new mask the changes that clicks are in, and leave the rest as it was.

    Parameters
    ----------
    logits, before : Tensor, (h, w)
        The new mask, and the one before.
    clicked : Clicked

    Returns
    -------
    Tensor, (h, w)
    """
    changed = (logits > 0) != (before > 0)
    parts, _ = ndimage.label(changed.cpu().numpy(), np.ones((3, 3), bool))
    taken = np.isin(parts, parts[clicked.rows, clicked.columns])
    stays = torch.from_numpy((parts > 0) & ~taken).to(logits.device)
    return torch.where(stays, before.to(logits), logits)


def within_reach(logits: Tensor, before: Tensor, click: Clicked) -> Tensor:
    """Take of a new mask what lies about as deep as a click on its error, and near it.

    Parameters
    ----------
    logits, before : Tensor, (h, w)
        The new mask, and the one before, which has the click wrong.
    click : Clicked
        One click.

    Returns
    -------
    Tensor, (h, w)
    """
    before = before.to(logits)
    depth = _depth(before)
    fine = click.finely()
    y, x = int(fine.rows[0]), int(fine.columns[0])
    rows, columns = np.ogrid[: depth.shape[0], : depth.shape[1]]
    reached = depth <= _DEEPER * depth[y, x]
    reached &= np.hypot(rows - y, columns - x) <= _ASIDE * depth[y, x]
    share = F.avg_pool2d(torch.from_numpy(reached)[None, None].float(), FINE)[0, 0].to(logits)
    cell = torch.zeros_like(share)
    cell[click.rows, click.columns] = 1.0
    for pull in _PULLS:
        merged = before.lerp(logits, torch.maximum(share, pull * cell))
        if bool(fine.heeded(finely(merged))):
            break
    return merged


def is_at_border(before: Tensor, click: Clicked) -> bool:
    """Say whether a click lies within a cell of the border of a mask (h, w)."""
    fine = click.finely()
    return bool(_depth(before)[fine.rows[0], fine.columns[0]] <= FINE)


def _depth(logits: Tensor) -> NDArray[np.float64]:
    """Return the distance of every fine cell from the border of a mask, on either side of it."""
    inside = (finely(logits) > 0).cpu().numpy()
    # The edge of the view is no border of the object.
    padded = np.pad(inside, 1, mode="edge")
    sides = (ndimage.distance_transform_edt(part)[1:-1, 1:-1] for part in (padded, ~padded))
    return np.asarray(sum(sides))


def finely(logits: Tensor) -> Tensor:
    """Interpolate a mask (h, w) to finer cells."""
    return F.interpolate(logits[None, None].float(), scale_factor=FINE, mode="bilinear")[0, 0]


def moved(decode: Callable[[Tensor], Tensor], features: Tensor, clicked: Clicked) -> Tensor:
    """Decode a mask from features that are moved until it heeds its clicks.

    Parameters
    ----------
    decode : callable
        From features (b, C, h, w) to the logits of one mask (h, w); differentiable.
    features : Tensor, (b, C, h, w)
    clicked : Clicked

    Returns
    -------
    Tensor, (h, w)
        The first mask that heeds all clicks, else that of the last step.
    """
    # Scale and shift of every channel.
    moves = torch.zeros((2, features.shape[1], 1, 1), device=features.device, requires_grad=True)
    descent = _Descent.of(moves)
    sign = torch.where(clicked.inside, 1.0, -1.0)
    logits = decode(features * (1 + moves[0]) + moves[1]).float()
    before = logits.detach().tanh()
    for _ in range(_STEPS):
        heeded = sign * logits[clicked.rows, clicked.columns]
        if bool((heeded > _ENOUGH).all()):
            break
        missing = torch.relu(_WANTED - heeded).square().mean()
        loss = missing + _KEPT * (logits.tanh() - before).square().mean()
        descent.step(*torch.autograd.grad(loss, moves))
        logits = decode(features * (1 + moves[0]) + moves[1]).float()
    return logits.detach()


@dataclass(slots=True)
class _Descent:
    """Adam (Kingma and Ba 2015). PyTorch's own imports its compiler first: seconds, for a click."""

    moves: Tensor
    mean: Tensor
    square: Tensor
    steps: int = 0

    @classmethod
    def of(cls, moves: Tensor) -> _Descent:
        """Begin at rest."""
        return cls(moves, torch.zeros_like(moves), torch.zeros_like(moves))

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """Move by one step, in place."""
        self.steps += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.lerp_(gradient.square(), 0.001)
        mean = self.mean / (1 - 0.9**self.steps)
        square = self.square / (1 - 0.999**self.steps)
        self.moves -= _RATE * mean / (square.sqrt() + 1e-8)
