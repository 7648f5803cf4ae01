"""Whole movies without a click: the network's own search beside thresholds linked by overlap."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2.evaluation.challenge import Answer, ChallengeScore, score_answer
from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.methods import NETWORK
from napari_sam2.evaluation.metrics import BoolMask
from napari_sam2.evaluation.rivals import link_masks
from napari_sam2.evaluation.tasks import SMALLEST
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.predictor.automatic_masklets import AutomaticMasklets
from napari_sam2.predictor.automatic_masks import cut_masklet
from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.tracking.lineage import find_divisions
from napari_sam2.tracking.proposals import divisions_of_newcomers

__all__ = ["LinkedThresholds", "NetworkAlone", "UnpromptedMethod", "score_unprompted"]


class UnpromptedMethod(Protocol):
    """Finds and follows the cells of a movie by itself."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    def track(self, movie: AnnotatedMovie, last: int) -> tuple[MaskletSet, dict[int, int]]:
        """Return the cells of the frames up to a last one, and the mothers of daughters."""
        ...


@dataclass
class NetworkAlone:
    """The search that users start; nothing is said about the cells, not even their size.

    Parameters
    ----------
    predictor : VideoPredictor
    every : int
        Frames from one search to the next.
    """

    predictor: VideoPredictor
    every: int = AutomaticOptions().every
    name: str = NETWORK

    def track(self, movie: AnnotatedMovie, last: int) -> tuple[MaskletSet, dict[int, int]]:
        """Search the movie."""
        session = VideoSession.open(movie.images)
        options = AutomaticOptions(every=self.every, stop=last)
        search = AutomaticMasklets(self.predictor, session, FindOptions(), options)
        for _ in search.run():
            pass
        return session.masklets, search.state.mothers


@dataclass
class LinkedThresholds:
    """Threshold and watershed on every frame, linked by overlap; what is not linked is new.

    Divisions are told by the same rules as the network's.
    """

    watershed: Watershed

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"watershed ({self.watershed.threshold} threshold), linked"

    def track(self, movie: AnnotatedMovie, last: int) -> tuple[MaskletSet, dict[int, int]]:
        """Segment and link."""
        masklets = MaskletSet((len(movie.images), *movie.frame_shape))
        number = 0
        before: dict[int, BoolMask] = {}
        for frame in range(last + 1):
            labels = _without_specks(self.watershed.labels(movie, frame))
            found = link_masks(before, labels) if before else {}
            taken = np.any(list(found.values()), axis=0) if found else np.zeros(labels.shape, bool)
            for value in np.unique(labels[(labels > 0) & ~taken]).tolist():
                number += 1
                found[number] = labels == value
            for object_id, mask in found.items():
                masklets.write(object_id, frame, MaskRecord.from_mask(mask))
            before = found
        return masklets, _cut_mothers(masklets, number)


def score_unprompted(
    methods: Iterable[UnpromptedMethod],
    movie: AnnotatedMovie,
    last: int | None,
    say: Callable[[str], None],
) -> Iterator[ChallengeScore]:
    """Let every method find the cells of a movie, up to a last frame.

    Yields
    ------
    ChallengeScore
        Its protocol is "automatic".
    """
    last = len(movie.images) - 1 if last is None else min(last, len(movie.images) - 1)
    if sum(frame <= last for frame in movie.annotated) < 2:
        return  # nothing is tracked on one frame
    for method in methods:
        say(f"whole movie without a click, {method.name}")
        began = time.perf_counter()
        masklets, mothers = method.track(movie, last)
        seconds = time.perf_counter() - began
        count = sum(len(one.frames) for one in masklets)
        yield score_answer(
            Answer(method.name, movie, masklets, mothers, seconds / max(count, 1)), last
        )


def _without_specks(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return labels without the small ones, of which a noisy frame has thousands."""
    areas = np.bincount(labels.ravel())
    return np.where(areas[labels] >= SMALLEST, labels, 0).astype(labels.dtype)


def _cut_mothers(masklets: MaskletSet, number: int) -> dict[int, int]:
    """End mothers that were linked on to one of their daughters; return daughter to mother."""
    mothers = {d: one.mother for one in find_divisions(masklets) for d in one.daughters}
    for proposal in divisions_of_newcomers(list(masklets)):
        if len(proposal.daughters) == 1:
            number += 1
            cut_masklet(masklets, proposal.mother, proposal.frame, number)
            mothers |= dict.fromkeys((*proposal.daughters, number), proposal.mother)
    return mothers
