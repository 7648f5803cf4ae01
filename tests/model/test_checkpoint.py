"""The registry, and loading weights strictly: all published shapes, and every wrong file."""

from __future__ import annotations

import hashlib
import pickle
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from napari_sam2.model.checkpoint import (
    REGISTRY,
    ModelFile,
    available_models,
    check,
    fetch,
    load_model,
    load_weights,
    model_path,
    models_folder,
)
from napari_sam2.model.config import BUNDLED, PRESETS
from napari_sam2.model.sam2 import SAM2

# Parameters in millions and entries of the official checkpoints.
PUBLISHED = {
    "sam2.1-tiny": (38.962, 471),
    "sam2.1-small": (46.060, 519),
    "sam2.1-base-plus": (80.850, 615),
    "sam2.1-large": (224.447, 903),
    "sam2-tiny": (38.946, 468),
    "sam2-small": (46.044, 516),
    "sam2-base-plus": (80.834, 612),
    "sam2-large": (224.430, 900),
}
SHORT = {"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"}


def shapes(name):
    with torch.device("meta"):
        model = SAM2(PRESETS[name])
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def weights():
    """Weights of the bundled shape, from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SAM2(BUNDLED).state_dict()


@pytest.fixture(scope="module")
def saved(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.save({"model": weights}, path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


class TestPublishedShapes:
    @pytest.mark.parametrize(("name", "facts"), PUBLISHED.items())
    def test_parameters_and_entries(self, name, facts):
        with torch.device("meta"):
            model = SAM2(PRESETS[name])
        millions = sum(p.numel() for p in model.parameters()) / 1e6
        assert (round(millions, 3), len(model.state_dict())) == facts

    @pytest.mark.parametrize("size", SHORT)
    def test_versions_differ_in_three_entries(self, size):
        newer, older = shapes(f"sam2.1-{size}"), shapes(f"sam2-{size}")
        extra = {key: newer.pop(key) for key in newer.keys() - older.keys()}
        assert newer == older
        assert extra == {
            "no_obj_embed_spatial": (1, 64),
            "obj_ptr_tpos_proj.weight": (64, 256),
            "obj_ptr_tpos_proj.bias": (64,),
        }

    @pytest.mark.parametrize("name", PUBLISHED)
    def test_every_entry(self, name, repository):
        version, size = name.split("-", 1)
        listed = repository.parent / f"shared/reference/keys_{version}_{SHORT[size]}.txt"
        if not listed.is_file():
            pytest.skip(f"the published list of entries is not at {listed}")
        expected = {}
        for line in listed.read_text().splitlines():
            key, shape, dtype = line.split("\t")
            expected[key] = tuple(int(n) for n in re.findall(r"\d+", shape))
            assert dtype == "float32"
        assert shapes(name) == expected


class TestRegistry:
    def test_bundled_and_eight_official(self):
        assert list(available_models()) == ["bundled", *PUBLISHED]
        assert REGISTRY.keys() == PRESETS.keys()

    @pytest.mark.parametrize("name", PUBLISHED)
    def test_official_entries(self, name):
        file = REGISTRY[name]
        day = "092824" if name.startswith("sam2.1") else "072824"
        assert file.url == f"https://dl.fbaipublicfiles.com/segment_anything_2/{day}/{file.file}"
        assert file.license == "Apache-2.0"
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        # float32 weights, and a little for names and layout.
        assert 1 < file.size / (PUBLISHED[name][0] * 4e6) < 1.01
        assert len({entry.sha256 for entry in REGISTRY.values()}) == len(REGISTRY)

    def test_places(self, folder):
        assert models_folder() == folder
        assert model_path("sam2-tiny") == folder / "sam2_hiera_tiny.pt"
        assert model_path("bundled").parts[-4:] == (
            "napari_sam2",
            "model",
            "weights",
            "bundled.safetensors",
        )

    def test_listing_needs_no_torch(self):
        code = "import sys, napari_sam2.model.registry; print('torch' in sys.modules)"
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert output.stdout.split() == [b"False"]

    def test_what_is_not_there_is_named_with_the_remedy(self, folder):
        with pytest.raises(FileNotFoundError, match=r"'sam2-tiny' .*https://.*/072824/.*put it at"):
            check("sam2-tiny")

    @pytest.mark.parametrize("ask", [check, fetch, model_path])
    def test_unknown_name(self, ask):
        with pytest.raises(
            ValueError, match=r"no network 'sam3': choose one of bundled, sam2.1-ti"
        ):
            ask("sam3")


class TestLoad:
    def test_a_file_of_weights(self, saved, weights):
        model = load_model(saved)
        assert model.config == BUNDLED
        assert not model.training
        for key, value in model.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, weights[key])

    def test_it_computes_what_the_saved_network_computed(self, saved, weights):
        original = SAM2(BUNDLED).eval()
        original.load_state_dict(weights)
        image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            a = original.encode_image(image)
            b = load_model(str(saved)).encode_image(image)
        torch.testing.assert_close(a.embedding, b.embedding, rtol=0, atol=0)

    def test_it_can_be_trained_on(self, saved):
        assert all(p.requires_grad for p in load_model(saved).parameters())

    def test_half_precision_safetensors(self, weights, tmp_path):
        path = tmp_path / "half.safetensors"
        half = {key: value.half().contiguous() for key, value in weights.items()}
        save_file(half, path, metadata={"config": "bundled"})
        model = load_model(path)
        for key, value in model.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.equal(value, weights[key].half().float())

    def test_plain_dictionary(self, weights, tmp_path):
        torch.save(weights, tmp_path / "plain.pth")
        assert load_model(tmp_path / "plain.pth").config == BUNDLED

    def test_into_a_network(self, saved, weights):
        model = SAM2(BUNDLED)
        load_weights(model, saved)
        assert torch.equal(model.no_mem_embed, weights["no_mem_embed"])

    def test_by_name_verified(self, saved, folder):
        content = saved.read_bytes()
        (folder / "w.pt").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        file = ModelFile("bundled", "w.pt", "BSD-3-Clause", "http://x/w.pt", len(content), sha256)
        assert load_model("bundled", registry={"bundled": file}).config == BUNDLED
        for wrong in (replace(file, size=5), replace(file, sha256="0" * 64)):
            with pytest.raises(ValueError, match="another file"):
                load_model("bundled", registry={"bundled": wrong})

    def test_half_written_files_never_load(self, saved, folder):
        content = saved.read_bytes()
        (folder / "w.pt.part").write_bytes(content)
        url = "http://127.0.0.1:9/w.pt"
        file = ModelFile("bundled", "w.pt", "BSD-3-Clause", url, len(content) + 1, "0" * 64)
        with pytest.raises(ConnectionError, match=f"could not download {url}"):
            load_model("bundled", registry={"bundled": file})


class TestWrongFiles:
    @pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
    @pytest.mark.parametrize("keep", [0, 5, 1000, 0.5, 0.999])
    def test_truncated(self, suffix, keep, weights, tmp_path):
        path = tmp_path / f"cut{suffix}"
        save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
        content = path.read_bytes()
        cut = content[: int(keep * len(content)) if isinstance(keep, float) else keep]
        path.write_bytes(cut)
        with pytest.raises(ValueError, match="truncated"):
            load_model(path)

    def test_no_checkpoint_at_all(self, tmp_path):
        path = tmp_path / "notes.pt"
        path.write_text("these are not weights\n" * 100)
        with pytest.raises(ValueError, match=r"notes\.pt .*no file of weights"):
            load_model(path)

    def test_code_is_not_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (tmp_path.joinpath("ran").write_text, ("yes",))

        path = tmp_path / "evil.pt"
        torch.save({"model": Evil()}, path)
        with pytest.raises(ValueError, match="more than weights"):
            load_model(path)
        path.write_bytes(pickle.dumps(Evil()))
        with pytest.raises(ValueError, match="no file of weights"):
            load_model(path)
        assert not (tmp_path / "ran").exists()

    def test_a_foreign_network(self, tmp_path):
        path = tmp_path / "foreign.pt"
        torch.save({"model": {"conv1.weight": torch.zeros(3), "fc.bias": torch.zeros(2)}}, path)
        with pytest.raises(ValueError, match=r"no SAM 2 network \(2 tensors: conv1.weight, fc.b"):
            load_model(path)

    def test_something_else_than_tensors(self, tmp_path):
        path = tmp_path / "numbers.pt"
        torch.save({"model": {"a": 1}}, path)
        with pytest.raises(ValueError, match="holds no weights"):
            load_model(path)
        torch.save(torch.zeros(3), path)
        with pytest.raises(ValueError, match="holds no weights"):
            load_model(path)

    def test_another_version(self, weights, tmp_path):
        """Without the three entries of 2.1 it is a 2.0 network, of no published size."""
        path = tmp_path / "old.pt"
        new = {"no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias"}
        torch.save({"model": {k: v for k, v in weights.items() if k not in new}}, path)
        found = "a SAM 2.0 network of 8 blocks of 48 channels"
        with pytest.raises(ValueError, match=f"{found}, which is none of the known"):
            load_model(path)
        with pytest.raises(ValueError, match=f"{found}, and bundled was expected .3 tensors mis"):
            load_weights(SAM2(BUNDLED), path)

    def test_another_size(self, saved):
        with torch.device("meta"):
            tiny = SAM2(PRESETS["sam2.1-tiny"])
        with pytest.raises(ValueError, match=r"holds bundled, and sam2.1-tiny was expected") as got:
            load_weights(tiny, saved)
        assert "conv.weight is (128, 384, 1, 1) and not (256, 768, 1, 1)" in str(got.value)
        assert len(str(got.value)) < 1000

    def test_one_entry_of_another_shape(self, weights, tmp_path):
        path = tmp_path / "odd.pt"
        torch.save({**weights, "no_mem_embed": torch.zeros(1, 1, 7)}, path)
        with pytest.raises(ValueError, match=r"no_mem_embed is \(1, 1, 7\) and not \(1, 1, 128\)"):
            load_model(path)

    def test_missing_file_and_unknown_name(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file of weights at .*gone\.pt"):
            load_model(tmp_path / "gone.pt")
        with pytest.raises(ValueError, match=r"no network 'sam2.1-huge': choose .*\.safetensors"):
            load_model("sam2.1-huge")
