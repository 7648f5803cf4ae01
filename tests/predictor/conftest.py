"""A small network with random weights: enough where the content of masks does not matter."""

import numpy as np
import pytest
import torch

from napari_sam2.model.config import HieraConfig, SAM2Config
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor

SMALL = SAM2Config(
    name="small-random",
    hiera=HieraConfig(
        embed_dim=16, stages=(1, 1, 2, 1), global_blocks=(3,), window_spec=(8, 4, 4, 2)
    ),
    input_size=64,
    hidden_dim=32,
    memory_dim=16,
    memory_layers=1,
    memory_ffn=32,
    decoder_mlp=32,
    num_maskmem=4,
    max_object_pointers=6,
)


@pytest.fixture(scope="session")
def small_model() -> SAM2:
    torch.manual_seed(0)
    model = SAM2(SMALL).eval()
    with torch.no_grad():
        # Every object is present, and masks lie around zero, so that they have both parts.
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(3.0)
        for mlp in model.sam_mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight.mul_(30)
    return model


@pytest.fixture
def cpu() -> Runtime:
    return Runtime.auto("cpu", "float32")


@pytest.fixture
def predictor(small_model: SAM2, cpu: Runtime) -> VideoPredictor:
    return VideoPredictor(small_model, cpu, PredictorOptions(view="whole"))


@pytest.fixture
def movie() -> np.ndarray:
    """Ten frames of noise with a bright square that moves."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 200, (10, 48, 72)).astype(np.uint16)
    for t in range(10):
        frames[t, 10 + t : 26 + t, 20 + 2 * t : 36 + 2 * t] += 800
    return frames
