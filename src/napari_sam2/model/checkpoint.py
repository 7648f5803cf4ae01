"""From a name or a file to a network with its weights, strictly."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pooch
import safetensors
import torch
from torch import Tensor

from napari_sam2.model.config import PRESETS, SAM2Config
from napari_sam2.model.download import Progress, download, verify
from napari_sam2.model.registry import (
    REGISTRY,
    ModelFile,
    available_models,
    find_model,
    model_path,
    models_folder,
    trained_folder,
    trained_model,
)
from napari_sam2.model.sam2 import SAM2

__all__ = [
    "REGISTRY",
    "ModelFile",
    "available_models",
    "check",
    "fetch",
    "load_model",
    "load_weights",
    "model_path",
    "models_folder",
    "trained_folder",
    "trained_model",
    "weights_hash",
]

SUFFIXES = (".pt", ".pth", ".safetensors")

# What version 2.1 has beyond 2.0; no other key and no shape differs.
_ONLY_IN_2_1 = {"no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias"}
_PATCH_EMBEDDING = "image_encoder.trunk.patch_embed.proj.weight"
_BLOCKS = "image_encoder.trunk.blocks."


def fetch(
    name: str,
    progress: Progress | None = None,
    *,
    registry: Mapping[str, ModelFile] | None = None,
    folder: Path | None = None,
) -> Path:
    """Bring the weights of a network to this machine, verified; resumes what broke off.

    Parameters
    ----------
    name : str
        A name of `available_models`.
    progress : callable, optional
        Told ``(bytes_done, bytes_in_all)``.
    registry : mapping, optional
        Where names are looked up; `available_models` by default.
    folder : Path, optional
        Where to put the file; by default the folder of downloaded weights.

    Returns
    -------
    Path
        The whole file.

    Raises
    ------
    ValueError
        If the name is unknown, or what arrived (or lies there) is not the expected file.
    ConnectionError
        If the address cannot be reached; says where to put the file by hand.
    """
    return download(find_model(name, registry), folder, progress)


def check(name: str, *, registry: Mapping[str, ModelFile] | None = None) -> Path:
    """Check that the weights of a network are on this machine and are what they should be.

    Returns
    -------
    Path
        The verified file.

    Raises
    ------
    FileNotFoundError
        If they are not there; says how to get them.
    ValueError
        If the file is another one, such as a truncated one.
    """
    file = find_model(name, registry)
    return verify(file, file.path())


def load_model(
    name_or_path: str | Path = "bundled",
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
    *,
    registry: Mapping[str, ModelFile] | None = None,
) -> SAM2:
    """Return a network with its weights, ready to answer.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `available_models`, fetched and verified when it is not on this machine yet; or a
        file of weights of any of these networks (``.pt``, ``.pth``, ``.safetensors``).
    device : str or torch.device
        Where the weights go.
    progress : callable, optional
        Told ``(bytes_done, bytes_in_all)`` while a file is fetched.
    registry : mapping, optional
        Where names are looked up; `available_models` by default.

    Returns
    -------
    SAM2
        In float32 and evaluation mode.

    Raises
    ------
    ValueError
        If the name is unknown, or the file is truncated, damaged or none of these networks.
    FileNotFoundError
        If there is no such file.
    ConnectionError
        If the weights have to be fetched and cannot be.
    """
    name = str(name_or_path)
    known = available_models() if registry is None else registry
    path = download(known[name], None, progress) if name in known else _existing(name, known)
    weights, metadata = _read(path)
    # What was trained here is told by its file; what is published, by its name.
    stated = name if name in PRESETS and name in known else metadata.get("config")
    config = _recognise(weights, path, stated)
    if metadata.get("views") == "follow":
        config = replace(config, follows_by_default=True)
    # Built without memory of its own: no random start that would be overwritten.
    with torch.device("meta"):
        model = SAM2(config)
    _check_fit(model, weights, path)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.to(device).eval()


def weights_hash(name_or_path: str | Path) -> str:
    """Return the sha256 of a network's file, which has to be on this machine.

    Raises
    ------
    ValueError
        If there is no such network.
    FileNotFoundError
        If there is no such file.
    """
    name, known = str(name_or_path), available_models()
    if name in known and known[name].sha256 is not None:
        return str(known[name].sha256)  # what was loaded under this name has been checked
    path = known[name].path() if name in known else _existing(name, known)
    return str(pooch.file_hash(str(path), alg="sha256"))


def load_weights(model: SAM2, path: Path) -> None:
    """Load a file of weights into a network, strictly.

    Raises
    ------
    ValueError
        If the file belongs to another version or size; names what was found and expected.
    """
    weights, _ = _read(path)
    _check_fit(model, weights, path)
    model.load_state_dict(weights, strict=True)


def _existing(name: str, registry: Mapping[str, ModelFile]) -> Path:
    path = Path(name).expanduser()
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"there is no network {name!r}: choose one of {', '.join(registry)}, "
            f"or give a file of weights ({', '.join(SUFFIXES)})"
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights at {path}")
    return path


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the float32 tensors of a file and its metadata, which a torch file has none of."""
    broken = (
        f"{path} cannot be read ({path.stat().st_size} bytes): it is truncated or no file of "
        "weights. Fetch or copy it again"
    )
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = dict(file.metadata() or {})
                keys = list(file.keys())
                return {key: _as_float(file.get_tensor(key)) for key in keys}, metadata
        # A torch file is a zip archive, whose end says that it is whole.
        if not zipfile.is_zipfile(path):
            raise ValueError(broken)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than weights and is not opened, since it could run code: use a "
            "file of tensors only, such as the official checkpoints"
        ) from error
    except (RuntimeError, EOFError, safetensors.SafetensorError) as error:
        raise ValueError(broken) from error
    weights = found.get("model", found) if isinstance(found, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f"{path} holds no weights: a checkpoint is a dictionary of tensors")
    return {key: _as_float(value) for key, value in weights.items()}, {}


def _as_float(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _recognise(weights: Mapping[str, Tensor], path: Path, stated: str | None) -> SAM2Config:
    """Return the preset that weights belong to: the one their file names, or by their facts."""
    if stated in PRESETS:
        return PRESETS[stated]
    facts = _facts(weights)
    for config in PRESETS.values():
        hiera = config.hiera
        if facts == (config.version, hiera.embed_dim, sum(hiera.stages)):
            return config
    raise ValueError(
        f"{path} holds {_describe(weights)}, which is none of the known networks: "
        f"{', '.join(PRESETS)}"
    )


def _facts(weights: Mapping[str, Tensor]) -> tuple[str, int, int] | None:
    """Return version, channels of the first stage and number of blocks; None if it is no SAM 2."""
    if _PATCH_EMBEDDING not in weights or "maskmem_tpos_enc" not in weights:
        return None
    blocks = {key.removeprefix(_BLOCKS).split(".")[0] for key in weights if key.startswith(_BLOCKS)}
    version = "2.1" if weights.keys() >= _ONLY_IN_2_1 else "2.0"
    return version, int(weights[_PATCH_EMBEDDING].shape[0]), len(blocks)


def _describe(weights: Mapping[str, Tensor]) -> str:
    """Say what a set of weights is, in words."""
    facts = _facts(weights)
    if facts is None:
        some = ", ".join(sorted(weights)[:3])
        return f"no SAM 2 network ({len(weights)} tensors: {some}, ...)"
    version, embed_dim, blocks = facts
    for config in PRESETS.values():
        if facts == (config.version, config.hiera.embed_dim, sum(config.hiera.stages)):
            return config.name
    return f"a SAM {version} network of {blocks} blocks of {embed_dim} channels"


def _check_fit(model: SAM2, weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise a ValueError that says what is wrong, where torch would list a thousand keys."""
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    if found == expected:
        return
    missing = sorted(expected.keys() - found.keys())
    surplus = sorted(found.keys() - expected.keys())
    differ = [key for key in expected.keys() & found.keys() if expected[key] != found[key]]
    examples = [f"{key} is missing" for key in missing[:2]]
    examples += [f"{key} is unknown" for key in surplus[:2]]
    examples += [f"{key} is {found[key]} and not {expected[key]}" for key in sorted(differ)[:2]]
    raise ValueError(
        f"{path} holds {_describe(weights)}, and {model.config.name} was expected "
        f"({len(missing)} tensors missing, {len(surplus)} unknown, {len(differ)} of another shape: "
        f"{'; '.join(examples)}). Choose the network of this version and size, or another file"
    )
