"""Starting weights from which a small network learns to follow a click at once.

With default weights the first layer of the mask decoder's transformer, whose self-attention
replaces the tokens instead of adding to them, blends the click away, and training stays on a
plateau for hundreds of steps. Here that layer starts as near the identity as attention can be,
and the attention between tokens and image starts by comparing positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from napari_sam2.model.attention import Attention
    from napari_sam2.model.image_encoder import Lateral
    from napari_sam2.model.memory_attention import MemoryAttentionLayer
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.model.two_way_transformer import TwoWayBlock

_MATCH_VARIANCE = 3.0  # over the width: makes equal positions stand out in the softmax
_VALUE_GAIN = 1.7
_PLACE_GAIN = 2.0
_TURNING_PAIRS = 9  # from one radian a cell down to a tenth


def initialise(model: SAM2, seed: int) -> None:
    """Set the weights of a new model for training from scratch, in place.

    Parameters
    ----------
    model : SAM2
    seed : int
        The same seed gives the same weights.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        _spread_linear_layers(model, generator)
        transformer = model.sam_mask_decoder.transformer
        for layer in cast("list[TwoWayBlock]", list(transformer.layers)):
            if layer.is_first:
                _keep_tokens(layer.self_attn, generator)
            _match_positions(layer.cross_attn_token_to_image, generator)
            _match_positions(layer.cross_attn_image_to_token, generator)
            for linear in _value_layers(layer.cross_attn_image_to_token):
                linear.weight.mul_(_VALUE_GAIN)
        _match_positions(transformer.final_attn_token_to_image, generator)
        _let_positions_speak(model)
        remember_places(model)
        expect_objects(model)


def _spread_linear_layers(model: nn.Module, generator: torch.Generator) -> None:
    """Give every linear layer Xavier weights and no bias, and learned maps a small spread."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
    for name, parameter in model.named_parameters():
        # Learned position maps and the embeddings that belong to the network as a whole.
        if "pos_embed" in name or "." not in name:
            nn.init.trunc_normal_(parameter, std=0.02, generator=generator)


def _keep_tokens(attention: Attention, generator: torch.Generator) -> None:
    """Make self-attention answer each token with itself."""
    _match_positions(attention, generator)
    for linear in _value_layers(attention):
        nn.init.eye_(linear.weight)


def _match_positions(attention: Attention, generator: torch.Generator) -> None:
    """Tie queries and keys, so that attention starts by comparing what both sides encode."""
    query, key = attention.q_proj, attention.k_proj
    spread = (_MATCH_VARIANCE / query.in_features) ** 0.5
    query.weight.normal_(0.0, spread, generator=generator)
    key.weight.copy_(query.weight)
    for linear in (query, key):
        linear.bias.zero_()


def _value_layers(attention: Attention) -> tuple[nn.Linear, nn.Linear]:
    """Return the layers that carry values through an attention."""
    return attention.v_proj, attention.out_proj


def _let_positions_speak(model: SAM2) -> None:
    """Make everything that is added to a position encoding small beside it.

    Attention compares sums: with image features and embeddings of the size of the encodings, a
    click's place is lost among their cross terms.
    """
    prompts = model.sam_prompt_encoder
    prompts.no_mask_embed.weight.mul_(0.05)
    for embedding in cast("list[nn.Embedding]", list(prompts.point_embeddings)):
        embedding.weight.mul_(0.3)
    for lateral in cast("list[Lateral]", list(model.image_encoder.neck.convs)):
        lateral.conv.weight.mul_(0.4)


def remember_places(model: SAM2) -> None:
    """Make every cell look first at what is remembered of its own surroundings, in place.

    A constant shared by queries and keys turns, under the rotary encoding, into a preference for
    near places: cells start by copying the last mask, and have motion and content to learn.
    """
    for layer in cast("list[MemoryAttentionLayer]", list(model.memory_attention.layers)):
        for linear in (layer.cross_attn_image.q_proj, layer.cross_attn_image.k_proj):
            # Pairs of channels turn with x, then with y, each from fast to slow.
            for first in (0, linear.out_features // 2):
                linear.bias[first : first + 2 * _TURNING_PAIRS : 2].fill_(_PLACE_GAIN)
    for name, parameter in model.memory_encoder.named_parameters():
        if name.endswith("gamma"):
            # The published value, 1e-6, is for networks that train a hundred times longer.
            parameter.fill_(0.1)


def expect_objects(model: SAM2, generator: torch.Generator | None = None) -> None:
    """Start with the belief that the object is there, in place.

    A score that starts below zero would cut the object pointer off before it has learned.

    Parameters
    ----------
    model : SAM2
    generator : torch.Generator or None
        Draws the whole head anew; None only turns its last layer down.
    """
    head = model.sam_mask_decoder.pred_obj_score_head
    linears = [m for m in head.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        if generator is not None:
            for linear in linears:
                nn.init.xavier_uniform_(linear.weight, generator=generator)
                linear.bias.zero_()
        linears[-1].weight.mul_(0.1)
        linears[-1].bias.fill_(2.0)
