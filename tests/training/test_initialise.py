"""Starting weights: reproducible, a click stands out, memory looks at its own place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.model.config import PRESETS
from napari_sam2.model.outputs import ImageFeatures, MemoryTokens
from napari_sam2.model.sam2 import SAM2
from napari_sam2.training.affinity import AffinityHead, affinity_loss
from napari_sam2.training.initialise import initialise


def fresh(seed: int = 0) -> SAM2:
    torch.manual_seed(seed)
    bundled = PRESETS["bundled"]
    hiera = replace(bundled.hiera, embed_dim=16, stages=(1, 1, 1, 1), global_blocks=(2,))
    model = SAM2(replace(bundled, hiera=hiera))
    initialise(model, seed)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> SAM2:
    return fresh()


def test_the_same_seed_gives_the_same_weights(model: SAM2) -> None:
    same, other = fresh(0).state_dict(), fresh(1).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, same[name]), name
    assert any(not torch.equal(same[name], other[name]) for name in same)


def test_tokens_keep_their_identity_in_the_first_layer(model: SAM2) -> None:
    attention = model.sam_mask_decoder.transformer.layers[0].self_attn  # type: ignore[union-attr]
    tokens = torch.randn(1, 8, 128, generator=torch.Generator().manual_seed(0))
    kept = torch.nn.functional.cosine_similarity(attention(tokens, tokens, tokens), tokens, dim=2)
    assert kept.min() > 0.7


def test_cells_near_a_click_look_at_it(model: SAM2) -> None:
    attention = model.sam_mask_decoder.transformer.layers[0].cross_attn_image_to_token  # type: ignore[union-attr]
    cells = model.sam_prompt_encoder.dense_positions(16, 16).flatten(2).transpose(1, 2)
    point = torch.tensor([[[40.0, 200.0]]])
    click = model.encode_prompts(point, torch.ones(1, 1, dtype=torch.int64), None, (16, 16))
    scores = attention.q_proj(cells) @ attention.k_proj(click.sparse[:, :1]).transpose(1, 2)
    best = int(scores[0, :, 0].argmax())
    assert abs(best // 16 - 12) <= 1
    assert abs(best % 16 - 2) <= 1


def test_memory_attention_finds_its_own_place_first(model: SAM2) -> None:
    attention = model.memory_attention.layers[0].cross_attn_image  # type: ignore[union-attr]
    marked = torch.zeros(1, 256, 64)
    marked[0, 7 * 16 + 5] = 1.0
    memory = MemoryTokens(marked, torch.zeros_like(marked), 256)
    captured: list[torch.Tensor] = []
    hook = attention.out_proj.register_forward_hook(lambda _, args, __: captured.append(args[0]))
    features = ImageFeatures(*(torch.zeros(1, 128, s, s) for s in (16, 32, 64)))
    model.attend_memory(features, memory)
    hook.remove()
    reached = (captured[0][0] - attention.v_proj.bias).norm(dim=1)  # (N,)
    best = int(reached.argmax())
    assert abs(best // 16 - 7) <= 1
    assert abs(best % 16 - 5) <= 1
    far = reached.reshape(16, 16)[12:, 10:]
    assert far.mean() < reached.max() / 5


def test_affinity_loss_prefers_cells_of_one_object() -> None:
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, :32], masks[1, 32:] = True, True
    owner = torch.arange(16) // 8  # cells of the upper and of the lower half
    right = torch.where(owner[:, None] == owner, 8.0, -8.0)[None]
    frames = torch.zeros(2, dtype=torch.int64)
    good = affinity_loss(right, frames, masks, (4, 4))
    bad = affinity_loss(-right, frames, masks, (4, 4))
    assert good < 0.01
    assert bad > 5


def test_affinity_reaches_the_encoder_and_is_symmetric() -> None:
    torch.manual_seed(0)
    embedding = torch.randn(1, 32, 4, 4, requires_grad=True)
    affinity = AffinityHead(32)(embedding, torch.zeros(1, 32, 4, 4))
    assert torch.allclose(affinity, affinity.transpose(1, 2), atol=1e-5)
    affinity.sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.abs().sum() > 0
