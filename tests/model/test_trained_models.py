"""Networks that were trained on this machine are found by name, beside the published ones."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file, save_file

from napari_sam2.model.checkpoint import (
    REGISTRY,
    available_models,
    check,
    load_model,
    model_path,
    trained_folder,
    trained_model,
)


@pytest.fixture
def own(tmp_path, monkeypatch, weights):
    """A network of one's own, "cells", in a folder of its own."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path))
    trained_folder().mkdir()
    path = trained_folder() / "cells.safetensors"
    metadata = {"config": "bundled", "views": "follow"}
    save_file(load_file(weights), path, metadata=metadata)
    return path


def test_they_come_after_the_published_ones(own):
    assert list(available_models()) == [*REGISTRY, "cells"]
    assert model_path("cells") == own
    assert check("cells") == own


def test_they_load_by_name(own):
    model = load_model("cells")
    assert model.config.name == "bundled"
    assert model.config.follows_by_default


def test_a_file_that_is_no_network_says_so(own):
    own.write_bytes(own.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cells\.safetensors cannot be read"):
        load_model("cells")


def test_files_that_would_hide_a_published_network_are_not_listed(own):
    own.with_name("bundled.safetensors").write_bytes(own.read_bytes())
    own.with_name("two words.safetensors").write_bytes(own.read_bytes())
    assert list(available_models()) == [*REGISTRY, "cells"]
    assert model_path("bundled").parent.name == "weights"


@pytest.mark.parametrize("name", ["bundled", "sam2-tiny", "", "a b", "../a", "x" * 65])
def test_names_that_a_network_cannot_have(name):
    with pytest.raises(ValueError, match=r"name of a published|no name for a network"):
        trained_model(name)


def test_an_unknown_name_is_answered_with_own_networks_too(own):
    with pytest.raises(ValueError, match="cells"):
        load_model("sam9")
