"""Single images with instance masks: pairs of files in a folder."""

from __future__ import annotations

from pathlib import Path

from napari_sam2.io.label_stack import read_labels
from napari_sam2.io.read import read_movie
from napari_sam2.io.read_series import PICTURES
from napari_sam2.training.readers.annotation import Annotation

__all__ = ["find_pairs", "read_stills"]

_LABELS = ("_labels", "_label", "_masks", "_mask", "_instances")
_IMAGES = ("_image", "_img", "")
_FOLDERS = ("labels", "masks", "label", "mask")
_KINDS = (*PICTURES, ".npy")


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return the images of a folder with the files of their masks, by name.

    Beside each other as ``x_image.png`` (or ``x_img.png``, ``x.png``) and ``x_labels.png`` (or
    ``x_masks.tif`` ...), or under the same name in the folders ``images`` and ``labels`` (or
    ``masks``).
    """
    if (folder / "images").is_dir():
        for name in _FOLDERS:
            if (folder / name).is_dir():
                images, labels = _by_stem(folder / "images"), _by_stem(folder / name)
                return [(images[stem], labels[stem]) for stem in sorted(images.keys() & labels)]
    files = _by_stem(folder)
    pairs = []
    for stem, path in sorted(files.items()):
        ending = next((e for e in _LABELS if stem.endswith(e)), None)
        if ending is None:
            continue
        bare = stem.removesuffix(ending)
        image = next((files[bare + e] for e in _IMAGES if bare + e in files), None)
        if image is not None:
            pairs.append((image, path))
    return pairs


def read_stills(folder: Path, frames: list[int] | None) -> list[Annotation]:
    """Open the pairs of a folder, or those at some places in the order of their names."""
    pairs = find_pairs(folder)
    outside = [place for place in frames or () if place >= len(pairs)]
    if outside:
        raise ValueError(f"{folder} holds {len(pairs)} stills, and {outside[:5]} are asked for")
    chosen = pairs if frames is None else [pairs[place] for place in frames]
    return [
        Annotation(f"{folder.name}/{image.name}", read_movie(image), read_labels(labels))
        for image, labels in chosen
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    files = (path for path in folder.iterdir() if path.suffix.lower() in _KINDS)
    return {path.stem: path for path in files if path.is_file()}
