"""Answering prompts on one frame: shared by images and videos."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import DecoderOutput, ImageFeatures, MaskPrediction
from napari_sam2.model.prompt_encoder import NEGATIVE, POSITIVE
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.postprocess import fill_holes, keep_pieces
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.second_opinion import agreed
from napari_sam2.predictor.transforms import View

_MASK_LOGIT = 10.0
"""Certain masks are logits of +-10, as mask prompts are."""

LOGIT_LIMIT = 32.0
"""Previous mask logits are clamped to this before they are a prompt again, as in the reference."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the decoder for one object on one frame.

    Attributes
    ----------
    geometry : Geometry
        The prompts.
    features : ImageFeatures
        Of the view.
    conditioned : Tensor or None, (1, C, h, w)
        The frame after memory attention; None where nothing is remembered.
    previous : Tensor or None, (1, 1, 4h, 4w)
        Mask logits of the answer that the prompts refine.
    mirror : ImageFeatures or None
        Of the mirrored view, for a second opinion; only where nothing is remembered.
    multimask : bool or None
        Ask for three candidates; None asks where the prompt is ambiguous.
    clicked_pieces : bool
        Keep only the pieces of a mask that positive clicks lie in.
    max_hole : int
        Cells of the largest hole that is filled where there is no negative click.
    """

    geometry: Geometry
    features: ImageFeatures
    conditioned: Tensor | None = None
    previous: Tensor | None = None
    mirror: ImageFeatures | None = None
    multimask: bool | None = None
    clicked_pieces: bool = False
    max_hole: int = 0


@torch.inference_mode()
def answer(model: SAM2, runtime: Runtime, question: Question, view: View) -> MaskPrediction:
    """Let the network answer the prompts of one object on one frame.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime
    question : Question
    view : View
        Through which the frame is seen.

    Returns
    -------
    MaskPrediction
        One row.
    """
    geometry, features = question.geometry, question.features
    with runtime.autocast():
        if geometry.mask is not None:
            mask = view.mask_to_input(geometry.mask.mask).to(runtime.device)
            return model.embed_mask_prompt(features, mask)
        output = _decode(model, question, view)
        multimask = question.multimask
        if multimask is None:
            multimask = geometry.is_ambiguous
        prediction = model.choose(output, multimask)
    if question.clicked_pieces:
        prediction = _clicked_pieces(prediction, geometry, view)
    if (geometry.labels == NEGATIVE).any():
        return prediction  # a person may have clicked the hole
    candidates = fill_holes(prediction.candidates, question.max_hole)
    return replace(
        prediction, logits=candidates[:, prediction.best[0]][:, None], candidates=candidates
    )


def _decode(model: SAM2, question: Question, view: View) -> DecoderOutput:
    """Decode all masks of a question in a view, and in its mirror image if that is asked for."""
    looks = [(question.features, view)]
    if question.mirror is not None:
        looks.append((question.mirror, view.mirrored))
    # Both in one batch: on a CPU that takes two thirds of the time.
    features = ImageFeatures.stack([seen for seen, _ in looks])
    conditioned = question.conditioned
    if conditioned is None:
        conditioned = model.attend_memory(features, None)
    asked = [question.geometry.tensors(through, conditioned.device) for _, through in looks]
    points, labels = (torch.cat(rows) for rows in zip(*asked, strict=True))
    prompts = model.encode_prompts(points, labels, _previous(question, looks), features.grid)
    output = model.decode_all(conditioned, features, prompts)
    return output if question.mirror is None else agreed(output.row(0), output.row(1))


def _previous(question: Question, looks: list[tuple[ImageFeatures, View]]) -> Tensor | None:
    """Return the mask logits that a question refines, as each look shows them."""
    if question.previous is None:
        return None
    previous = question.previous.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    return torch.cat([previous.flip(-1) if one.is_mirrored else previous for _, one in looks])


def _clicked_pieces(prediction: MaskPrediction, geometry: Geometry, view: View) -> MaskPrediction:
    """Drop the pieces of every candidate that no positive click lies in."""
    inside = geometry.points[geometry.labels == POSITIVE]
    height, width = prediction.logits.shape[-2:]
    scale = np.array([height / view.input_size[0], width / view.input_size[1]])
    yx = view.to_input_xy(inside).numpy()[:, ::-1]
    cells = np.floor((yx + 0.5) * scale).astype(np.int64)
    kept = torch.stack([keep_pieces(logits, cells) for logits in prediction.candidates[0]])
    best = prediction.best
    return replace(prediction, logits=kept[best][None], candidates=kept[None])


@torch.inference_mode()
def take_candidate(
    model: SAM2, runtime: Runtime, prediction: MaskPrediction, chosen: int | None
) -> MaskPrediction:
    """Take the candidate that the user chose, or with None the one that the network expects most.

    Parameters
    ----------
    model : SAM2
    runtime : Runtime
    prediction : MaskPrediction
        One row.
    chosen : int or None
        Index in the decoder's order.

    Returns
    -------
    MaskPrediction
    """
    index = int(prediction.ious[0].argmax()) if chosen is None else chosen
    if index == int(prediction.best[0]):
        return prediction
    with runtime.autocast():
        return model.take_candidate(prediction, index)


def record_of(logits: Tensor, view: View, iou: float, score: float, prompted: bool) -> MaskRecord:
    """Pack mask logits (4h, 4w) of a view as a record of the frame."""
    (origin, crop), *_ = view.object_logits_to_frame(logits[None])
    mask = (crop > 0).cpu().numpy()
    return MaskRecord.from_mask(
        mask, predicted_iou=iou, object_score=score, prompted=prompted, origin=origin
    )


def candidate_records(prediction: MaskPrediction, view: View) -> tuple[MaskRecord, ...]:
    """Pack all candidates of a one-row prediction; none where there is only one."""
    if prediction.candidates.shape[1] == 1:
        return ()
    score = float(prediction.object_score[0, 0])
    return tuple(
        record_of(logits, view, float(iou), score, prompted=True)
        for logits, iou in zip(prediction.candidates[0], prediction.ious[0], strict=True)
    )


def box_around(
    geometry: Geometry, record: MaskRecord | None
) -> tuple[tuple[int, int, int, int], bool]:
    """Box that a view has to show: the object as far as it is known, and every prompt on it.

    Parameters
    ----------
    geometry : Geometry
        Prompts on the frame.
    record : MaskRecord or None
        What is known of the object's mask there.

    Returns
    -------
    bbox : tuple of 4 int
        In frame edges, half open.
    is_known : bool
        Whether it tells the object's size: clicks alone do not.
    """
    boxes = []
    if geometry.bbox is not None and geometry.bbox[2] > geometry.bbox[0]:
        boxes.append(geometry.bbox)
    if record is not None and record.visible:
        boxes.append(record.bbox)
    is_known = bool(boxes)
    for y, x in geometry.points:
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        boxes.append((row, column, row + 1, column + 1))
    if not boxes:
        return (0, 0, 0, 0), False
    array = np.array(boxes)
    low, high = array[:, :2].min(axis=0), array[:, 2:].max(axis=0)
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1])), is_known


def certain_logits(mask: NDArray[np.bool_], view: View) -> tuple[Tensor, Tensor]:
    """Return the logits that stand for a mask that nobody doubts.

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
        Of the whole frame.
    view : View

    Returns
    -------
    full : Tensor, (1, 1, Hi, Wi)
        At the size of the network's input.
    low : Tensor, (1, 1, Hi / 4, Wi / 4)
        At the size of the decoder's masks.
    """
    full = (2 * view.mask_to_input(mask) - 1) * _MASK_LOGIT
    size = (view.input_size[0] // 4, view.input_size[1] // 4)
    return full, F.interpolate(full.float(), size=size, mode="bilinear", antialias=True)
