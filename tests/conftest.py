"""What every test may ask for: settings of its own for napari, and the folder of real movies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# Before napari is imported: tests neither read nor write the settings of whoever runs them.
_SETTINGS = tempfile.TemporaryDirectory(prefix="napari-sam2-settings-")
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
