"""Answering prompts on one frame: shared by images and videos."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.outputs import (
    DecoderOutput,
    ImageFeatures,
    MaskPrediction,
    PromptEmbeddings,
)
from napari_sam2.model.prompt_encoder import BOX_END, BOX_START, NEGATIVE, POSITIVE
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.heeding import (
    Clicked,
    finely,
    is_at_border,
    moved,
    near_clicks,
    within_reach,
)
from napari_sam2.predictor.judging import judged
from napari_sam2.predictor.mask_places import mask_places
from napari_sam2.predictor.postprocess import fill_holes, keep_pieces
from napari_sam2.predictor.prompt_tensors import Geometry
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.second_opinion import agreed
from napari_sam2.predictor.transforms import View
from napari_sam2.predictor.within_box import within_box

_MASK_LOGIT = 10.0
"""Certain masks are logits of +-10, as mask prompts are."""

_THERE = 0.1
"""Score of presence, at least, of an object that a person points at."""

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
    heeded : bool
        Hold the answer to what its clicks say; see `napari_sam2.predictor.heeding`.
    keeps_previous : bool
        Where a click is not heeded, stay with `previous`, which heeds it, instead of looking for
        an answer that does, which takes long.
    judged : bool
        Choose among several masks by looking at them; see `napari_sam2.predictor.judging`.
    within_box : bool
        Hold the answer in the box that a person drew; see `napari_sam2.predictor.within_box`.
    """

    geometry: Geometry
    features: ImageFeatures
    conditioned: Tensor | None = None
    previous: Tensor | None = None
    mirror: ImageFeatures | None = None
    multimask: bool | None = None
    clicked_pieces: bool = False
    max_hole: int = 0
    heeded: bool = False
    keeps_previous: bool = False
    judged: bool = False
    within_box: bool = False


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
        decoding = _Decoding.of(model, question, view)
        output = decoding.run(decoding.seen)
        prediction = _choose(model, question, output)
        if question.within_box:
            prediction = _held_in_box(prediction, output, geometry, view)
        if question.heeded:
            prediction = _heeded(decoding, question, view, output, prediction)
    if question.clicked_pieces:
        prediction = _clicked_pieces(prediction, geometry, view)
    if (geometry.labels == NEGATIVE).any():
        return prediction  # a person may have clicked the hole
    candidates = fill_holes(prediction.candidates, question.max_hole)
    prediction = replace(
        prediction, logits=candidates[:, prediction.best[0]][:, None], candidates=candidates
    )
    if not question.judged:
        return prediction
    return take_candidate(model, runtime, judged(features, prediction), None)


def _choose(model: SAM2, question: Question, output: DecoderOutput) -> MaskPrediction:
    """Choose among the decoder's masks; what a person points at is there."""
    multimask = question.multimask
    if multimask is None:
        multimask = question.geometry.is_ambiguous
    if question.heeded and (question.geometry.labels != NEGATIVE).any():
        output = replace(output, object_score=output.object_score.clamp(min=_THERE))
    return model.choose(output, multimask)


def _held_in_box(
    chosen: MaskPrediction, output: DecoderOutput, geometry: Geometry, view: View
) -> MaskPrediction:
    """Hold the chosen mask in the box of a geometry, if there is one that its clicks agree with."""
    box = geometry.points[np.isin(geometry.labels, (BOX_START, BOX_END))]
    if len(box) == 0 or not bool(chosen.object_score > 0):
        return chosen
    edges = box + np.array([[-0.5], [0.5]])
    inside = geometry.points[geometry.labels == POSITIVE]
    if ((inside < edges[0]) | (inside > edges[1])).any():
        return chosen
    corners = mask_places(edges, view, chosen.logits)
    return within_box(chosen, output.logits[0, 1:], corners, len(geometry.labels) == len(box))


def _heeded(
    decoding: _Decoding,
    question: Question,
    view: View,
    output: DecoderOutput,
    chosen: MaskPrediction,
) -> MaskPrediction:
    """Hold the chosen mask of an output to what the clicks on a frame say of it."""
    geometry, previous = question.geometry, question.previous
    clicked = _clicked(geometry, view, chosen.logits)
    is_correcting = len(geometry.labels) > 1 or previous is not None
    if not is_correcting or not len(clicked.rows) or not bool(chosen.object_score > 0):
        return chosen
    logits = chosen.logits[0, 0]
    heeded = clicked.heeded(logits)
    if not bool(heeded.all()):
        if question.keeps_previous and previous is not None:
            right = previous[0, 0]
        else:
            index = int((output.logits - chosen.logits).abs().amax((2, 3)).argmin())
            right = _moved(decoding, index, clicked)
        logits = near_clicks(right, logits, clicked.only(~heeded))
    if previous is not None and question.conditioned is not None:
        logits = _changed_by_newest(logits, previous[0, 0], clicked)
    best, candidates = int(chosen.best[0]), chosen.candidates.clone()
    candidates[0, best] = logits
    return replace(chosen, logits=logits[None, None], candidates=candidates)


def _changed_by_newest(logits: Tensor, previous: Tensor, clicked: Clicked) -> Tensor:
    """Leave a mask as it was but where its newest click says that it is wrong, if it does.

    At the border a pixel of the frame may be wrong where the network's finer cells are right.
    """
    newest = clicked.only(torch.arange(len(clicked.rows)) == len(clicked.rows) - 1)
    if not bool((previous > 0).any()):
        return logits
    is_right = bool(newest.finely().heeded(finely(previous)))
    if is_right and not is_at_border(previous, newest):
        return logits
    return within_reach(near_clicks(logits, previous, newest), previous, newest)


def _moved(decoding: _Decoding, index: int, clicked: Clicked) -> Tensor:
    """Return a mask of the decoder, (h, w), from features that are moved towards its clicks."""
    # Gradients need tensors from outside of inference mode.
    with torch.inference_mode(False), torch.enable_grad():
        copy = decoding.clone()
        return moved(lambda seen: copy.run(seen).logits[0, index], copy.seen, clicked)


@dataclass(frozen=True, slots=True)
class _Decoding:
    """All that the decoder reads of a question, in a view and perhaps in its mirror image.

    Attributes
    ----------
    model : SAM2
    seen : Tensor, (b, C, h, w)
        Features after memory attention: b is 2 with the mirror image.
    features : ImageFeatures
        Of b looks.
    prompts : PromptEmbeddings
        Of b looks.
    """

    model: SAM2
    seen: Tensor
    features: ImageFeatures
    prompts: PromptEmbeddings

    @classmethod
    def of(cls, model: SAM2, question: Question, view: View) -> _Decoding:
        """Encode the prompts of a question."""
        looks = [(question.features, view)]
        if question.mirror is not None:
            looks.append((question.mirror, view.mirrored))
        # Both in one batch: on a CPU that takes two thirds of the time.
        features = ImageFeatures.stack([seen for seen, _ in looks])
        seen = question.conditioned
        if seen is None:
            seen = model.attend_memory(features, None)
        asked = [question.geometry.tensors(through, seen.device) for _, through in looks]
        points, labels = (torch.cat(rows) for rows in zip(*asked, strict=True))
        prompts = model.encode_prompts(points, labels, _previous(question, looks), features.grid)
        return cls(model, seen, features, prompts)

    def clone(self) -> _Decoding:
        """Return a copy that gradients can pass, whatever mode this one was made in."""
        prompts = PromptEmbeddings(self.prompts.sparse.clone(), self.prompts.dense.clone())
        return _Decoding(self.model, self.seen.detach().clone(), self.features.clone(), prompts)

    def run(self, seen: Tensor) -> DecoderOutput:
        """Decode all masks; what both looks agree on where there are two."""
        output = self.model.decode_all(seen, self.features, self.prompts)
        return output if len(seen) == 1 else agreed(output.row(0), output.row(1))


def _clicked(geometry: Geometry, view: View, logits: Tensor) -> Clicked:
    """Return where clicks lie in a mask (..., h, w), the newest last."""
    is_click = np.isin(geometry.labels, (POSITIVE, NEGATIVE))
    inside = torch.from_numpy(geometry.labels[is_click] == POSITIVE).to(logits.device)
    return Clicked(mask_places(geometry.points[is_click], view, logits), inside)


def _previous(question: Question, looks: list[tuple[ImageFeatures, View]]) -> Tensor | None:
    """Return the mask logits that a question refines, as each look shows them."""
    if question.previous is None:
        return None
    previous = question.previous.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    return torch.cat([previous.flip(-1) if one.is_mirrored else previous for _, one in looks])


def _clicked_pieces(prediction: MaskPrediction, geometry: Geometry, view: View) -> MaskPrediction:
    """Drop the pieces of every candidate that no positive click lies in."""
    points = geometry.points[geometry.labels == POSITIVE]
    cells = mask_places(points, view, prediction.logits).astype(np.int64)
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
    # Where another mask was corrected before, one is offered, whatever had been chosen.
    if chosen is None or chosen >= prediction.candidates.shape[1]:
        chosen = int(prediction.ious[0].argmax())
    if chosen == int(prediction.best[0]):
        return prediction
    with runtime.autocast():
        return model.take_candidate(prediction, chosen)


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
