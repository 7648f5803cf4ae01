"""Which networks exist, where their weights come from, and where they lie on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

__all__ = [
    "REGISTRY",
    "ModelFile",
    "available_models",
    "find_model",
    "model_path",
    "models_folder",
    "trained_folder",
    "trained_model",
]

FOLDER_VARIABLE = "NAPARI_SAM2_MODELS"
"""Environment variable that names another folder for downloaded weights."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of weights.

    Attributes
    ----------
    name : str
        Name of the network; its shape is the preset of the same name.
    file : str
        File name, in the folder of downloaded weights or in the package.
    license : str
        SPDX identifier of the licence of the weights.
    url : str or None
        Address it is published at; None for what ships in the package.
    size : int or None
        Bytes.
    sha256 : str or None
        Hash of the file.
    place : Path or None
        Folder of a network that was trained on this machine; None for all others.
    """

    name: str
    file: str
    license: str
    url: str | None = None
    size: int | None = None
    sha256: str | None = None
    place: Path | None = None

    def path(self, folder: Path | None = None) -> Path:
        """Return where the file is, or belongs; ``folder`` is that of downloaded weights."""
        if self.place is not None:
            return self.place / self.file
        if self.url is None:
            return Path(__file__).parent / "weights" / self.file
        return (models_folder() if folder is None else folder) / self.file


_PUBLISHED = """
sam2.1-tiny 092824/sam2.1_hiera_tiny.pt 156008466
7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69
sam2.1-small 092824/sam2.1_hiera_small.pt 184416285
6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38
sam2.1-base-plus 092824/sam2.1_hiera_base_plus.pt 323606802
a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5
sam2.1-large 092824/sam2.1_hiera_large.pt 898083611
2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318
sam2-tiny 072824/sam2_hiera_tiny.pt 155906050
65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125
sam2-small 072824/sam2_hiera_small.pt 184309650
95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3
sam2-base-plus 072824/sam2_hiera_base_plus.pt 323493298
d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071
sam2-large 072824/sam2_hiera_large.pt 897952466
7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b
"""

_ADDRESS = "https://dl.fbaipublicfiles.com/segment_anything_2/"


def _registry() -> dict[str, ModelFile]:
    words = _PUBLISHED.split()
    rows = zip(*[iter(words)] * 4, strict=True)
    files = [ModelFile("bundled", "bundled.safetensors", "BSD-3-Clause")]
    files += [
        ModelFile(name, Path(place).name, "Apache-2.0", _ADDRESS + place, int(size), sha256)
        for name, place, size, sha256 in rows
    ]
    return {file.name: file for file in files}


REGISTRY: Mapping[str, ModelFile] = _registry()
"""Every network by its name: the bundled one and the eight official checkpoints.

The publisher gives addresses only. Sizes and hashes are those of the files in the publisher's and
others' public large-file pointers.
"""


def models_folder() -> Path:
    """Return the folder of downloaded weights: ``NAPARI_SAM2_MODELS``, or the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else Path(pooch.os_cache("napari-sam2"))


def trained_folder() -> Path:
    """Return the folder of the networks that were trained on this machine."""
    return models_folder() / "trained"


def trained_model(name: str) -> ModelFile:
    """Return the file of a network trained on this machine, where it is or will be.

    Raises
    ------
    ValueError
        If the name is that of a published network, or no good name of a file.
    """
    if name in REGISTRY:
        raise ValueError(f"{name!r} is the name of a published network: choose another one")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            f"{name!r} is no name for a network: use up to 64 letters, digits, dots, - and _, "
            "beginning with a letter or digit"
        )
    return ModelFile(name, f"{name}.safetensors", "as its data", place=trained_folder())


def available_models() -> dict[str, ModelFile]:
    """Return every network that can be asked for by name: the bundled one, official, own ones."""
    found = sorted(trained_folder().glob("*.safetensors"))
    return dict(REGISTRY) | {p.stem: trained_model(p.stem) for p in found if _is_own_name(p.stem)}


def model_path(name: str, *, registry: Mapping[str, ModelFile] | None = None) -> Path:
    """Return where the weights of a network are on this machine, or belong."""
    return find_model(name, registry).path()


def find_model(name: str, registry: Mapping[str, ModelFile] | None = None) -> ModelFile:
    """Return the file of a network, of those that are available if no registry is given.

    Raises
    ------
    ValueError
        If there is no network of this name.
    """
    known = available_models() if registry is None else registry
    if name not in known:
        raise ValueError(f"there is no network {name!r}: choose one of {', '.join(known)}")
    return known[name]


def _is_own_name(name: str) -> bool:
    try:
        trained_model(name)
    except ValueError:
        return False
    return True
