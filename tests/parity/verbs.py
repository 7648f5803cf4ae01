"""Each verb of the network on seeded inputs, by this project and by the reference.

The two functions return the same names, so that their results can be compared one by one. No
verb's input is another's output: an error stays where it arises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from tests.parity.seeding import seeded_images
from torch import Tensor

from napari_sam2.model.config import SAM2Config
from napari_sam2.model.mask_decoder import choose_single_mask
from napari_sam2.model.outputs import DecoderOutput, ImageFeatures, MaskPrediction
from napari_sam2.model.sam2 import SAM2

_FRAME, _NUM_FRAMES = 9, 20
_PROMPTED = (0, 12)
"""One prompted frame in the past, one in the future, whose pointer must not be used."""


@dataclass(frozen=True)
class Inputs:
    """What the verbs are given; B = 2 objects."""

    images: Tensor
    features: ImageFeatures
    points: Tensor
    labels: Tensor
    dense: Tensor
    mask: Tensor
    logits: Tensor
    score: Tensor
    unsure: DecoderOutput
    memories: dict[int, Tensor]
    pointers: dict[int, Tensor]


def inputs(config: SAM2Config, size: int) -> Inputs:
    """Draw the inputs of all verbs for a network and an input size."""
    generator = torch.Generator().manual_seed(7)
    cells, dim = size // 16, config.hidden_dim

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    frames = [*_PROMPTED, *range(_FRAME - config.max_object_pointers, _FRAME)]
    frames = sorted({f for f in frames if f >= 0})
    coarse = torch.nn.functional.interpolate(draw(2, 1, 8, 8), size=(size, size), mode="bilinear")
    return Inputs(
        images=seeded_images(1, size, seed=3),
        features=ImageFeatures(
            draw(2, dim, cells, cells),
            draw(2, dim // 4, 2 * cells, 2 * cells),
            draw(2, dim // 8, 4 * cells, 4 * cells),
        ),
        points=size * torch.rand(2, 5, 2, generator=generator),
        labels=torch.tensor([[2, 3, 1, 0, -1], [1, 0, 1, -1, -1]], dtype=torch.int32),
        dense=4 * draw(2, 1, 4 * cells, 4 * cells),
        mask=(coarse > 0.2) * torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1),  # one is empty
        logits=8 * coarse,
        score=torch.tensor([[3.0], [-2.0]]),
        # A single mask that keeps its area when its threshold moves, and one that does not.
        unsure=DecoderOutput(
            logits=torch.tensor([30.0, 0.5])[:, None, None, None] * draw(2, 4, 64, 64),
            ious=torch.rand(2, 4, generator=generator),
            tokens=draw(2, 4, dim),
            object_score=torch.ones(2, 1),
        ),
        memories={f: draw(2, config.memory_dim, cells, cells) for f in frames},
        pointers={f: draw(2, dim) for f in frames},
    )


@torch.inference_mode()
def ours(model: SAM2, size: int) -> dict[str, Tensor]:
    """Run every verb of this project's network."""
    given = inputs(model.config, size)
    features = given.features
    image = model.encode_image(given.images)
    prompts = model.encode_prompts(given.points, given.labels, given.dense, features.grid)
    result = {
        "encode_image.embedding": image.embedding,
        "encode_image.stride8": image.stride8,
        "encode_image.stride4": image.stride4,
        "encode_prompts.sparse": prompts.sparse,
        "encode_prompts.dense": prompts.dense,
        "attend_memory.none": model.attend_memory(features, None),
        "attend_memory.forward": _attend(model, given, step=1),
        "attend_memory.backward": _attend(model, given, step=-1),
    }
    points = model.encode_prompts(given.points, given.labels, None, features.grid)
    empty = model.encode_prompts(None, None, None, features.grid, rows=2)
    click = model.encode_prompts(given.points[:, 2:3], given.labels[:, 2:3], None, features.grid)
    for name, embedded, multimask in (
        ("single", points, False),
        ("refined", prompts, False),
        ("multi", click, True),
        ("tracking", empty, True),
        ("unprompted", empty, False),
    ):
        masks = model.decode_masks(features.embedding, features, embedded, multimask)
        result |= _named(f"decode_masks.{name}", masks)
    result["choose_single.logits"], result["choose_single.ious"] = choose_single_mask(given.unsure)
    result |= _named("embed_mask_prompt", model.embed_mask_prompt(features, given.mask))
    for binarize in (False, True):
        memory = model.encode_memory(features, given.logits, given.score, binarize)
        result[f"encode_memory.{'hard' if binarize else 'soft'}"] = memory
    return result


def _named(name: str, masks: MaskPrediction) -> dict[str, Tensor]:
    return {
        f"{name}.candidates": masks.candidates,
        f"{name}.logits": masks.logits,
        f"{name}.ious": masks.ious,
        f"{name}.pointer": masks.pointer,
        f"{name}.object_score": masks.object_score,
    }


def _attend(model: SAM2, given: Inputs, step: int) -> Tensor:
    config = model.config
    behind = list(range(_FRAME - step, _FRAME - step * config.max_object_pointers, -step))
    tracked = [f for f in behind if f in given.memories and f not in _PROMPTED]
    recent = [f for f in tracked if abs(f - _FRAME) < config.num_maskmem]
    spatial = [*_PROMPTED, *recent]
    times = [config.num_maskmem - 1] * 2 + [abs(f - _FRAME) - 1 for f in recent]
    past = [f for f in _PROMPTED if (_FRAME - f) * step >= 0] + tracked
    distances = torch.tensor([(_FRAME - f) * step for f in past]).expand(2, -1)
    memory = model.assemble_memory(
        torch.stack([given.memories[f] for f in spatial], dim=1),
        torch.tensor(times).expand(2, -1),
        torch.stack([given.pointers[f] for f in past], dim=1),
        distances,
        span=min(_NUM_FRAMES, config.max_object_pointers) - 1,
    )
    return model.attend_memory(given.features, memory)


@torch.inference_mode()
def theirs(reference: Any, config: SAM2Config) -> dict[str, Tensor]:
    """Run the reference's counterpart of every verb."""
    given = inputs(config, reference.image_size)
    features = given.features
    image = reference.forward_image(given.images)["backbone_fpn"]
    sparse, dense = reference.sam_prompt_encoder((given.points, given.labels), None, given.dense)
    result = {
        "encode_image.embedding": image[2],
        "encode_image.stride8": image[1],
        "encode_image.stride4": image[0],
        "encode_prompts.sparse": sparse,
        "encode_prompts.dense": dense,
        "attend_memory.none": _their_memory(reference, given, backward=False, first=True),
        "attend_memory.forward": _their_memory(reference, given, backward=False),
        "attend_memory.backward": _their_memory(reference, given, backward=True),
    }
    both = {"point_coords": given.points, "point_labels": given.labels}
    click = {"point_coords": given.points[:, 2:3], "point_labels": given.labels[:, 2:3]}
    high_resolution = [features.stride4, features.stride8]
    for name, points, masks, multimask in (
        ("single", both, None, False),
        ("refined", both, given.dense, False),
        ("multi", click, None, True),
        ("tracking", None, None, True),
        ("unprompted", None, None, False),
    ):
        output = reference._forward_sam_heads(
            features.embedding, points, masks, high_resolution, multimask
        )
        result |= _their_names(f"decode_masks.{name}", output)
    choice = reference.sam_mask_decoder._dynamic_multimask_via_stability
    single, ious = choice(given.unsure.logits, given.unsure.ious)
    result |= {"choose_single.logits": single, "choose_single.ious": ious}
    output = reference._use_mask_as_output(features.embedding, high_resolution, given.mask)
    result |= _their_names("embed_mask_prompt", output)
    for binarize in (False, True):
        memory, _ = reference._encode_new_memory(
            [_flat(features.embedding)], [features.grid], given.logits, given.score, binarize
        )
        result[f"encode_memory.{'hard' if binarize else 'soft'}"] = memory
    return result


def _their_names(name: str, output: tuple[Tensor, ...]) -> dict[str, Tensor]:
    candidates, _, ious, logits, _, pointer, score = output
    return {
        f"{name}.candidates": candidates,
        f"{name}.logits": logits,
        f"{name}.ious": ious,
        f"{name}.pointer": pointer,
        f"{name}.object_score": score,
    }


def _their_memory(reference: Any, given: Inputs, backward: bool, first: bool = False) -> Tensor:
    features, positions = given.features, reference.memory_encoder.position_encoding
    place = reference.image_encoder.neck.position_encoding(features.embedding)
    stored = {
        frame: {
            "maskmem_features": memory,
            "maskmem_pos_enc": [positions(memory)],
            "obj_ptr": given.pointers[frame],
        }
        for frame, memory in given.memories.items()
    }
    return reference._prepare_memory_conditioned_features(
        frame_idx=_FRAME,
        is_init_cond_frame=first,
        current_vision_feats=[_flat(features.embedding)],
        current_vision_pos_embeds=[_flat(place)],
        feat_sizes=[features.grid],
        output_dict={
            "cond_frame_outputs": {f: stored[f] for f in _PROMPTED},
            "non_cond_frame_outputs": {f: m for f, m in stored.items() if f not in _PROMPTED},
        },
        num_frames=_NUM_FRAMES,
        track_in_reverse=backward,
    )


def _flat(features: Tensor) -> Tensor:
    return features.flatten(2).permute(2, 0, 1)  # (h * w, B, C)
