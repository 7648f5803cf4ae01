"""Objects of a frame without a click: a grid of points, filtered and without duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import ImageFeatures, MaskPrediction
from napari_sam2.model.prompt_encoder import BOX_END, BOX_START, POSITIVE
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import record_of
from napari_sam2.predictor.automatic_options import FindOptions
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.postprocess import keep_pieces
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.transforms import View

__all__ = ["ObjectFinder", "covered_part", "estimate_diameter", "without_duplicates"]

_INPUT_PART = 0.2
"""Diameter of a typical object as a part of the network's input: about 50 of 256 pixels."""
_BATCH = 32
_STABLE_LOGIT = 1.0


@dataclass(frozen=True)
class _Found:
    """Masks of a tile: logits (B, 4h, 4w) and what the network thinks of them, (B,)."""

    logits: Tensor
    ious: Tensor
    scores: Tensor

    def rows(self, index: Tensor) -> _Found:
        return _Found(self.logits[index], self.ious[index], self.scores[index])


class ObjectFinder:
    """Proposes the objects of a frame.

    Parameters
    ----------
    model : SAM2
        On the runtime's device.
    runtime : Runtime
    options : FindOptions, optional
    """

    def __init__(self, model: SAM2, runtime: Runtime, options: FindOptions | None = None) -> None:
        self._model = model
        self._runtime = runtime
        self._encoder = FrameEncoder(model, runtime)
        self.options = options or FindOptions()

    @torch.inference_mode()
    def find(self, session: VideoSession, frame: int) -> list[MaskRecord]:
        """Return the objects of a frame, the surest first.

        Parameters
        ----------
        session : VideoSession
            Only its frames are read; prompts and masks stay as they are.
        frame : int

        Returns
        -------
        list of MaskRecord
            Masks that share no pixel.

        Raises
        ------
        ValueError
            If the frame is not in the movie.
        """
        if not 0 <= frame < session.num_frames:
            last = session.num_frames - 1
            raise ValueError(f"frame {frame} is outside the movie: use 0 to {last}")
        diameter = self.options.diameter
        if diameter is None:
            diameter = estimate_diameter(session.mapping.apply(session.read(frame)))
        records: list[MaskRecord] = []
        for view, points in self._tiles(session.shape[1:], diameter):
            features = self._encoder.features(session, frame, view)
            for start in range(0, len(points), _BATCH):
                found = self._propose(features, view, points[start : start + _BATCH])
                records += self._records(found, view, diameter)
        return without_duplicates(records, self.options.most_overlap)

    def _tiles(
        self, shape: tuple[int, int], diameter: float
    ) -> Iterable[tuple[View, NDArray[np.float64]]]:
        """Yield overlapping views, each with the grid points that it shows best."""
        size = self._model.config.input_size
        side = min(round(diameter / _INPUT_PART), max(shape))
        rows, columns = (_centres(extent, side, diameter) for extent in shape)
        step = diameter * self.options.spacing
        ys, xs = (_grid(extent, step) for extent in shape)
        to_row = np.abs(ys[:, None] - rows).argmin(axis=1)
        to_column = np.abs(xs[:, None] - columns).argmin(axis=1)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                own = np.meshgrid(ys[to_row == i], xs[to_column == j], indexing="ij")
                points = np.stack(own, axis=-1).reshape(-1, 2)
                yield View.square((row, column), side, shape, (size, size)), points

    def _propose(self, features: ImageFeatures, view: View, points: NDArray[np.float64]) -> _Found:
        """Ask at points (P, 2), drop bad answers, and ask again with their boxes and centres."""
        labels = np.full((len(points), 1), POSITIVE)
        answers = self._decode(features, view.to_input_xy(points)[:, None], labels, True)
        found = self._good(_all_candidates(answers))
        if not len(found.ious):
            return found
        boxed = torch.stack([_box_and_centre(one, view.input_size) for one in found.logits])
        labels = np.tile([BOX_START, BOX_END, POSITIVE], (len(boxed), 1))
        refined = self._decode(features, boxed, labels, False)
        return self._good(_Found(refined.logits[:, 0], refined.iou, refined.object_score[:, 0]))

    def _decode(
        self, features: ImageFeatures, xy: Tensor, labels: NDArray[np.int64], multimask: bool
    ) -> MaskPrediction:
        device = self._runtime.device
        with self._runtime.autocast():
            conditioned = self._model.attend_memory(features, None)
            given = xy.to(device), torch.from_numpy(labels).to(device)
            prompts = self._model.encode_prompts(*given, None, features.grid)
            return self._model.decode_masks(conditioned, features, prompts, multimask)

    def _good(self, found: _Found) -> _Found:
        """Keep what the network is sure of, and each of it only once."""
        inside = (found.logits > _STABLE_LOGIT).sum((1, 2)).float()
        around = (found.logits > -_STABLE_LOGIT).sum((1, 2)).float()
        is_good = (
            (inside / around.clamp(min=1) >= self.options.least_stability)
            & (found.ious >= self.options.least_iou)
            & (found.scores > 0)
            & (inside > 0)
        )
        good = found.rows(is_good.nonzero().flatten())
        return good.rows(_distinct(good))

    def _records(self, found: _Found, view: View, diameter: float) -> list[MaskRecord]:
        """Pack masks of the right size that the border of the view does not cut."""
        kept = []
        for logits, iou, score in zip(found.logits, found.ious, found.scores, strict=True):
            whole = keep_pieces(logits.float(), np.zeros((0, 2), np.int64))
            record = record_of(whole, view, float(iou), float(score), prompted=True)
            own = 2 * np.sqrt(record.area / np.pi) / diameter
            is_fit = self.options.smallest <= own <= self.options.largest
            if record.visible and is_fit and view.contains(record.bbox, 1.0):
                kept.append(record)
        return kept


def without_duplicates(records: Sequence[MaskRecord], most_overlap: float) -> list[MaskRecord]:
    """Keep the surest of masks that overlap, and give shared pixels to the surer one.

    Parameters
    ----------
    records : sequence of MaskRecord
        Of one frame.
    most_overlap : float
        Part of a mask that surer ones may cover.

    Returns
    -------
    list of MaskRecord
        The surest first; no two share a pixel.
    """
    height = max((one.bbox[2] for one in records), default=0)
    width = max((one.bbox[3] for one in records), default=0)
    taken = np.zeros((height, width), bool)
    kept = []
    for record in sorted(records, key=lambda one: -one.predicted_iou):
        if covered_part(record, taken) > most_overlap:
            continue
        y0, x0, y1, x1 = record.bbox
        free = record.crop() & ~taken[y0:y1, x0:x1]
        # What the surer neighbour leaves over may be a rim in pieces.
        pieces, count = ndimage.label(free)
        if count == 0:
            continue
        if count > 1:
            free = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        taken[y0:y1, x0:x1] |= free
        kept.append(
            MaskRecord.from_mask(
                free,
                predicted_iou=record.predicted_iou,
                object_score=record.object_score,
                prompted=record.prompted,
                origin=(y0, x0),
            )
        )
    return kept


def covered_part(record: MaskRecord, taken: NDArray[np.bool_]) -> float:
    """Return the part of a mask that lies on pixels (H, W) that are taken; 1 without a pixel."""
    if not record.visible:
        return 1.0
    y0, x0, y1, x1 = record.bbox
    return float((record.crop() & taken[y0:y1, x0:x1]).sum() / record.area)


def estimate_diameter(rgb: NDArray[np.float32]) -> float:
    """Estimate the diameter of the typical object of a frame, in pixels.

    Parameters
    ----------
    rgb : ndarray, (H, W, 3)
        Intensities in 0 to 1.

    Returns
    -------
    float
        Twice the median of the largest inner radii of what Otsu's threshold separates; an eighth
        of the frame's shorter side where it separates nothing.
    """
    grey = ndimage.gaussian_filter(np.sqrt(rgb.mean(axis=-1).clip(0, 1)), 1.0)
    fallback = max(min(grey.shape) / 8, 3.0)
    if grey.max() <= grey.min():
        return fallback
    mask = grey > threshold_otsu(grey)
    if mask.mean() > 0.5:
        mask = ~mask
    distance = ndimage.distance_transform_edt(ndimage.binary_fill_holes(mask))
    regions, count = ndimage.label(distance > 0)
    radii = np.atleast_1d(ndimage.maximum(distance, regions, np.arange(1, count + 1)))
    radii = radii[radii > 2.5]
    return float(np.clip(2 * np.median(radii), 3.0, min(grey.shape))) if radii.size else fallback


def _centres(extent: int, side: int, overlap: float) -> NDArray[np.float64]:
    """Centres of views of a side that cover an extent, neighbours sharing an object's width."""
    if side >= extent:
        return np.array([(extent - 1) / 2])
    count = 1 + int(np.ceil((extent - side) / max(side - 1.5 * overlap, 1)))
    return np.linspace(side / 2 - 0.5, extent - side / 2 - 0.5, max(count, 2))


def _grid(extent: int, step: float) -> NDArray[np.float64]:
    count = max(1, round(extent / step))
    return (np.arange(count) + 0.5) * extent / count - 0.5


def _all_candidates(answers: MaskPrediction) -> _Found:
    count = answers.candidates.shape[1]
    scores = answers.object_score.expand(-1, count).flatten()
    return _Found(answers.candidates.flatten(0, 1), answers.ious.flatten(), scores)


def _distinct(found: _Found) -> Tensor:
    """Return the rows that are left when of alike masks only the surest stays."""
    masks = (found.logits > 0).flatten(1).float()
    shared = masks @ masks.T
    areas = masks.sum(1)
    iou = shared / (areas[:, None] + areas - shared).clamp(min=1)
    kept: list[int] = []
    for row in found.ious.argsort(descending=True).tolist():
        if not kept or float(iou[row, kept].max()) < 0.7:
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64, device=found.ious.device)


def _box_and_centre(logits: Tensor, input_size: tuple[int, int]) -> Tensor:
    """Return both corners and the innermost point of a mask in input pixels, (3, 2), x first."""
    mask = (logits > 0).cpu().numpy()
    scale = input_size[0] / mask.shape[0], input_size[1] / mask.shape[1]
    ys, xs = np.nonzero(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = divmod(int(depth.argmax()), mask.shape[1])
    corners = [(ys.min(), xs.min()), (ys.max() + 1, xs.max() + 1), (y + 0.5, x + 0.5)]
    rows = [(cx * scale[1] - 0.5, cy * scale[0] - 0.5) for cy, cx in corners]
    return torch.tensor(rows, dtype=torch.float32)
