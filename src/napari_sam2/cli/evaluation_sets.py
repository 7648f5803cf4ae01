"""From names on the command line to annotated movies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_sam2.evaluation.ground_truth import AnnotatedMovie
    from napari_sam2.evaluation.run import Open
    from napari_sam2.evaluation.sets import EvaluationSet
    from napari_sam2.training.readers.annotation import Annotation

__all__ = ["find_sets"]

SYNTHETIC_SEED = 20_000_000
"""Training draws seeds from 0 on, and chooses among its networks by seeds from 10 million on."""
SYNTHETIC_FRAMES = 20
_PREFIX = "synthetic-"


def find_sets(
    data: Path, names: str | None, truth: str, synthetic_movies: int = 2
) -> dict[str, Open]:
    """Return what opens each set, by name, in order.

    Parameters
    ----------
    data : Path
        Folder of sets.
    names : str or None
        With commas; all known sets that are there, and every synthetic kind, if None.
    truth : str
        "labels" or "gold".
    synthetic_movies : int
        Movies of each synthetic kind.

    Raises
    ------
    ValueError
        If a name stands for nothing; before anything has been read.
    """
    from napari_sam2.evaluation.sets import DATA_SETS

    if truth not in ("labels", "gold"):
        raise ValueError(f"--truth {truth!r} is no truth; choose labels or gold")
    kind: Literal["labels", "gold"] = "gold" if truth == "gold" else "labels"
    if names is None:
        there = [name for name in DATA_SETS if (data / name).is_dir()]
        chosen = [*there, "synthetic"]
    else:
        chosen = [name.strip() for name in names.split(",") if name.strip()]
    found: dict[str, Open] = {}
    for name in chosen:
        found |= _synthetic_sets(name, synthetic_movies) or _find(data, name, kind)
    return found


def _synthetic_sets(name: str, count: int) -> dict[str, Open]:
    """Return the synthetic sets that a name stands for; none if it means something else."""
    from napari_sam2.training.synthetic.movie import KINDS

    if name == "synthetic":
        return {f"{_PREFIX}{kind}": partial(_synthetic, kind, count) for kind in KINDS}
    if not name.startswith(_PREFIX):
        return {}
    kind = name.removeprefix(_PREFIX)
    if kind not in KINDS:
        raise ValueError(f"--sets {name}: kinds are {', '.join(KINDS)}")
    return {name: partial(_synthetic, kind, count)}


def _find(data: Path, name: str, truth: Literal["labels", "gold"]) -> dict[str, Open]:
    """Return what the name of a folder, or a path, stands for."""
    from napari_sam2.evaluation.sets import open_set

    if (data / name).is_dir() and not Path(name).is_absolute():
        return {name: partial(open_set, data / name, truth)}
    path = Path(name).expanduser()
    if not path.exists():
        raise ValueError(
            f"--sets {name}: there is neither {data / name} nor {path}; give the folder of the "
            "sets with --data or in NAPARI_SAM2_DATA, or the path of a folder"
        )
    return {path.name: partial(_from_path, path)}


def _synthetic(kind: str, count: int) -> EvaluationSet:
    """Make the movies of one kind whose seeds were kept back."""
    from napari_sam2.evaluation.ground_truth import AnnotatedMovie
    from napari_sam2.evaluation.sets import EvaluationSet
    from napari_sam2.training.synthetic import random_movie
    from napari_sam2.training.synthetic.movie import KINDS

    movies = []
    for seed in range(SYNTHETIC_SEED, SYNTHETIC_SEED + count):
        made = random_movie(seed, SYNTHETIC_FRAMES, kind=kind)
        name = f"synthetic {kind} {seed}"
        movie = AnnotatedMovie.of_stack(name, made.images, made.labels, made.lineage)
        movies.append(replace(movie, is_stack=KINDS[kind].is_stack))
    return EvaluationSet(f"synthetic {kind}", "synthetic", tuple(movies))


def _from_path(path: Path) -> EvaluationSet:
    """Read what a user has annotated; one frame is a still, more are a movie."""
    from napari_sam2.evaluation.sets import EvaluationSet

    found = _open_path(path)
    if not found:
        raise ValueError(
            f"{path} is no annotated set: give a Cell Tracking Challenge sequence (t000.tif ... "
            "beside its _GT or _ST folder), a folder with NAME_images.tif and NAME_labels.tif, "
            "results of `napari-sam2 track`, stills with masks, or a file NAME_labels.tif beside "
            "NAME_images.tif or NAME.tif"
        )
    movies = tuple(_movie(annotation, tracks) for annotation, tracks in found)
    is_still = all(len(movie.images) == 1 for movie in movies)
    name = path.name if len(movies) > 1 else movies[0].name
    return EvaluationSet(name, "stills" if is_still else "movie", movies)


def _open_path(path: Path) -> list[tuple[Annotation, Path | None]]:
    """Open by what there is; each annotation with the table of its tracks."""
    from napari_sam2.io.label_stack import read_labels
    from napari_sam2.io.read import read_movie
    from napari_sam2.training.readers import challenge, results, stills
    from napari_sam2.training.readers.annotation import Annotation

    if path.is_file():
        names = (path.name.replace("_labels", "_images"), path.name.replace("_labels", ""))
        for images in (path.with_name(name) for name in names if name != path.name):
            if images.is_file():
                return [(Annotation(images.stem, read_movie(images), read_labels(path)), None)]
        return []
    if challenge.is_challenge_folder(path):
        tracks = path.with_name(f"{path.name}_GT") / "TRA" / "man_track.txt"
        return [(challenge.read_challenge_folder(path, None), tracks)]
    if challenge.is_flat_folder(path):
        return [(challenge.read_flat_folder(path, None), path / "man_track.txt")]
    if results.is_result_folder(path):
        return [(results.read_result_folder(path, None), None)]
    if stills.find_pairs(path):
        return [(annotation, None) for annotation in stills.read_stills(path, None)]
    return []


def _movie(annotation: Annotation, tracks: Path | None) -> AnnotatedMovie:
    """Take an annotation as training reads it, with lineage."""
    import numpy as np

    from napari_sam2.evaluation.ground_truth import AnnotatedMovie, read_mothers

    images, labels = np.asarray(annotation.images), np.asarray(annotation.labels)
    annotated = tuple(annotation.frames())
    if len(annotated) == len(labels) and annotation.is_complete and annotation.lifetimes is None:
        return AnnotatedMovie.of_stack(annotation.name, images, labels)
    mothers = read_mothers(tracks) if tracks is not None else {}
    lifetimes = dict(annotation.lifetimes or {})
    kept = {d: m for d, m in mothers.items() if d in lifetimes and m in lifetimes}
    return AnnotatedMovie(annotation.name, images, labels, annotated, lifetimes, kept)
