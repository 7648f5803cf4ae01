"""The run of ``scenario.py`` by both predictors, as tensors under the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tests.parity.scenario import BEFORE, CORRECTION, Action, Box, Clicks, movie, normalised
from torch import Tensor

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.frames import IntensityMapping
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt

OBJECTS = (1, 2)

LIKE_THE_REFERENCE = PredictorOptions(
    view="whole", overlap="keep", keep_memories=True, spare_newborns=False, max_hole=0
)
"""What makes this engine do what the reference does, beyond float32: one whole view, masks that
may overlap, and no memory let go."""


def our_predictor(model: SAM2) -> VideoPredictor:
    """Make the engine behave like the reference, on the CPU in float32."""
    return VideoPredictor(model, Runtime.auto("cpu", "float32"), LIKE_THE_REFERENCE)


def open_session(frames: Tensor) -> VideoSession:
    """Open colour frames (T, 3, S, S) in 0 to 1, seen as they are."""
    as_they_are = IntensityMapping((0.0,) * 3, (1.0,) * 3, (0, 1, 2))
    return VideoSession.open(frames.permute(0, 2, 3, 1).numpy(), as_they_are, axes="TYXC")


def our_run(model: SAM2, size: int, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make the run with this project's predictor.

    Parameters
    ----------
    model : SAM2
    size : int
        Side of the frames.
    theirs : mapping of str to Tensor
        The reference's run. After each prompt this run goes on from the reference's logits
        (the result holds its own): prompted masks enter the memory as zeros and ones, so one
        pixel whose logit is zero up to rounding would change everything behind it.
    """
    predictor = our_predictor(model)
    session = open_session(movie(size))
    result: dict[str, Tensor] = {}
    for name, actions in (("first", BEFORE), ("corrected", CORRECTION)):
        for index, action in enumerate(actions):
            # Only the last of an action's points is new.
            predictor.predict_frame(session, our_prompts(action, size)[-1])
            answers = session.objects[action.object_id].answers
            own = answers[action.frame].prediction
            key = f"{name}.prompt{index}"
            result[f"{key}.logits"] = own.logits[0, 0]
            result[f"{key}.object_score"] = own.object_score[0, 0]
            agreed = replace(own, logits=theirs[f"{key}.logits"][None, None])
            answers[action.frame] = replace(answers[action.frame], prediction=agreed)
        for frame in predictor.propagate(session, PropagateOptions(direction="forward")):
            for item in frame.objects:
                memory = session.objects[item.object_id].bank.get(frame.frame)
                assert memory is not None
                key = f"{name}.frame{frame.frame}.object{item.object_id}"
                result[f"{key}.logits"] = memory.logits
                result[f"{key}.pointer"] = memory.pointer
                result[f"{key}.memory"] = memory.spatial
                result[f"{key}.object_score"] = torch.tensor(item.record.object_score)
    return result


def our_prompts(action: Action, size: int) -> list[Prompt]:
    """Say an action in this project's words."""
    key = action.object_id, action.frame
    if isinstance(action, Clicks):
        return [
            PointPrompt(*key, (y * size, x * size), positive=label == 1)
            for (x, y), label in zip(action.xy, action.labels, strict=True)
        ]
    if isinstance(action, Box):
        x0, y0, x1, y1 = (size * v for v in action.xyxy)
        return [BoxPrompt(*key, (y0, x0, y1, x1))]
    return [MaskPrompt(*key, action.pixels(size).numpy())]


def their_run(reference: Any) -> dict[str, Tensor]:
    """Make the run with the reference; ``float_memory`` decides how it stores memories."""
    from tests.parity.reference import open_state

    state = open_state(reference, normalised(movie(reference.image_size)))
    result: dict[str, Tensor] = {}
    for name, actions in (("first", BEFORE), ("corrected", CORRECTION)):
        for index, action in enumerate(actions):
            apply(reference, state, action)
            output = _stored(state, "temp_output_dict_per_obj", action.object_id, action.frame)
            result[f"{name}.prompt{index}.logits"] = output["pred_masks"][0, 0]
            result[f"{name}.prompt{index}.object_score"] = output["object_score_logits"][0, 0]
        for frame, output, object_id in _propagated(reference, state):
            key = f"{name}.frame{frame}.object{object_id}"
            result[f"{key}.logits"] = output["pred_masks"][0, 0]
            result[f"{key}.pointer"] = output["obj_ptr"][0]
            result[f"{key}.memory"] = output["maskmem_features"][0]
            result[f"{key}.object_score"] = output["object_score_logits"][0, 0]
    return result


def apply(reference: Any, state: dict[str, Any], action: Action) -> Tensor:
    """Let the reference do what the user does; returns the masks of all objects, (N, 1, S, S)."""
    size, key = reference.image_size, (action.frame, action.object_id)
    if isinstance(action, Clicks):
        xy = size * np.array(action.xy, np.float32)
        _, _, masks = reference.add_new_points_or_box(state, *key, xy, list(action.labels))
    elif isinstance(action, Box):
        box = size * np.array(action.xyxy, np.float32)
        _, _, masks = reference.add_new_points_or_box(state, *key, box=box)
    else:
        _, _, masks = reference.add_new_mask(state, *key, action.pixels(size))
    return masks


def _propagated(
    reference: Any, state: dict[str, Any]
) -> Iterator[tuple[int, dict[str, Tensor], int]]:
    for frame, ids, _ in reference.propagate_in_video(state, start_frame_idx=0):
        for object_id in ids:
            yield frame, _stored(state, "output_dict_per_obj", object_id, frame), object_id


def _stored(state: dict[str, Any], where: str, object_id: int, frame: int) -> dict[str, Tensor]:
    outputs = state[where][state["obj_id_to_idx"][object_id]]
    found = outputs["cond_frame_outputs"].get(frame)
    return outputs["non_cond_frame_outputs"][frame] if found is None else found
