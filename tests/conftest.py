"""What every test may ask for: settings of its own for napari, and the folder of real movies."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

# Before napari is imported: tests neither read nor write the settings of whoever runs them.
_SETTINGS = tempfile.TemporaryDirectory(prefix="napari-sam2-settings-")
atexit.register(_SETTINGS.cleanup)
os.environ["NAPARI_CONFIG"] = str(Path(_SETTINGS.name) / "settings.yaml")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real annotated movies; tests that use it skip where it is absent."""
    named = os.environ.get("NAPARI_SAM2_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real movies at {folder}: set NAPARI_SAM2_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """The bundled network with random weights: what it draws is nonsense, how it runs is not."""
    import torch
    from safetensors.torch import save_file

    from napari_sam2.model.config import PRESETS
    from napari_sam2.model.sam2 import SAM2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = SAM2(PRESETS["bundled"]).state_dict()
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return path


@pytest.fixture(scope="session")
def movie() -> np.ndarray:
    """Five frames, uint16 (5, 64, 72), with two bright disks that move."""
    y, x = np.indices((64, 72))
    frames = np.random.default_rng(0).normal(200, 10, (5, 64, 72))
    for t in range(5):
        for centre in ((20 + t, 20), (45, 50 - t)):
            frames[t] += 800 * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 80)
    return frames.astype(np.uint16)
