"""One run: the sets, the contestants, and how many objects are asked of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from napari_sam2.evaluation.ground_truth import (
    AnnotatedMovie,
    Truth,
    pick_departures,
    pick_masklets,
    pick_stills,
    read_movie,
    read_stills,
)
from napari_sam2.evaluation.methods import MaskletMethod, StillMethod
from napari_sam2.evaluation.network import (
    ImageNetworkOnStills,
    NetworkOnMovies,
    NetworkOnStills,
)
from napari_sam2.evaluation.protocol import ObjectScore, score_masklets, score_stills
from napari_sam2.evaluation.rivals import (
    CopyMask,
    EllipseInBox,
    FlowWarp,
    LinkedWatershed,
    WatershedUnderClick,
    has_optical_flow,
)
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor

STILLS = "dsb2018_nuclei"
DEFAULT_SETS = ("ctc_N2DH-SIM_01", "ctc_N2DH-GOWT1_01", "ctc_N2DL-HeLa_01", STILLS)

KEPT_BACK = (
    *(9, 49, 50, 51, 80, 105, 109, 125, 152, 179, 182, 198, 216, 238, 245, 251, 253, 264, 286),
    *(303, 322, 327, 329, 331, 342, 351, 354, 367, 377, 380, 399, 400, 425, 437, 463, 479, 517),
    *(525, 527, 529, 539, 545, 559, 562, 585, 587, 610, 635, 640),
)
"""Stills of dsb2018_nuclei that the bundled network was not trained on.

Recorded here, so that a later change of the split cannot turn training stills into a test.
"""


@dataclass(frozen=True)
class Sampling:
    """How many objects of a set are measured, and which.

    Attributes
    ----------
    stills : int
        Objects prompted on single frames.
    masklets : int
        Objects followed through frames.
    frames : int
        Frames that each is followed.
    departures : int
        Objects followed beyond the end of their track.
    seed : int
        The same seed picks the same objects.
    """

    stills: int = 60
    masklets: int = 24
    frames: int = 20
    departures: int = 12
    seed: int = 0


@dataclass(frozen=True)
class Contest:
    """Who is measured.

    Attributes
    ----------
    on_stills : tuple of StillMethod
    on_movies : tuple of MaskletMethod
    """

    on_stills: tuple[StillMethod, ...]
    on_movies: tuple[MaskletMethod, ...]

    @classmethod
    def of(cls, model: SAM2, runtime: Runtime, options: PredictorOptions) -> Contest:
        """Enter a network, and every rival that this machine can run."""
        predictor = VideoPredictor(model, runtime, options)
        rivals = cls.of_rivals()
        whole = ImagePredictor(model, runtime, replace(options, view="whole"))
        stills = (NetworkOnStills(predictor), ImageNetworkOnStills(whole))
        return cls((*stills, *rivals.on_stills), (NetworkOnMovies(predictor), *rivals.on_movies))

    @classmethod
    def of_rivals(cls) -> Contest:
        """Enter only the rivals."""
        # Each segments a frame once for both rivals that build on it.
        watersheds = (Watershed("global"), Watershed("local"))
        flow = (FlowWarp(),) if has_optical_flow() else ()
        return cls(
            (*(WatershedUnderClick(each) for each in watersheds), EllipseInBox()),
            (CopyMask(), *(LinkedWatershed(each) for each in watersheds), *flow),
        )

    def score(self, movies: list[AnnotatedMovie], sampling: Sampling) -> list[ObjectScore]:
        """Let everyone answer for the same objects of one set."""
        scores: list[ObjectScore] = []
        stills = pick_stills(movies, sampling.stills, sampling.seed)
        for method in self.on_stills:
            scores += score_stills(method, stills)
        tasks = []
        for movie in movies:
            tasks += pick_masklets(movie, sampling.masklets, sampling.frames, sampling.seed)
            tasks += pick_departures(movie, sampling.departures, sampling.seed)
        for follower in self.on_movies:
            scores += score_masklets(follower, tasks)
        return scores


def open_set(folder: Path, truth: Truth = "labels") -> list[AnnotatedMovie]:
    """Read a set: one movie, or the stills that were kept back from training.

    Raises
    ------
    ValueError
        If the folder is not there, or holds neither.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is not there; give the folder that holds {folder.name} with --data, "
            "or in the variable NAPARI_SAM2_DATA"
        )
    if folder.name == STILLS:
        return read_stills(folder, KEPT_BACK)
    return [read_movie(folder, truth)]
