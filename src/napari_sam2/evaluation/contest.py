"""Who is measured, and what is asked of them on one set."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from napari_sam2.evaluation.automatic import (
    LinkedThresholds,
    NetworkAlone,
    UnpromptedMethod,
    score_unprompted,
)
from napari_sam2.evaluation.calibration import Confidence
from napari_sam2.evaluation.challenge import ChallengeScore, score_challenge
from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.interactive import (
    InteractiveScore,
    score_offline,
    score_online,
)
from napari_sam2.evaluation.interactive_rivals import (
    CarryByFlow,
    CorrectedRival,
    carry_unchanged,
)
from napari_sam2.evaluation.methods import (
    NETWORK,
    InteractiveMethod,
    MaskletMethod,
    StillMethod,
)
from napari_sam2.evaluation.network import (
    ImageNetworkOnStills,
    NetworkOnMovies,
    NetworkOnStills,
)
from napari_sam2.evaluation.optical_flow import FlowFields, has_optical_flow
from napari_sam2.evaluation.protocol import (
    Followed,
    ObjectScore,
    follow,
    score_followed,
    score_stills,
)
from napari_sam2.evaluation.rivals import (
    CopyMask,
    EllipseInBox,
    FlowWarp,
    LinkedWatershed,
    WatershedUnderClick,
)
from napari_sam2.evaluation.sampling import ALL_PROTOCOLS, Protocols, Sampling
from napari_sam2.evaluation.sets import EvaluationSet
from napari_sam2.evaluation.tasks import (
    MaskletTask,
    pick_departures,
    pick_masklets,
    pick_stills,
    pick_stretch,
    whole_movie,
)
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor

Say = Callable[[str], None]


@dataclass
class SetResult:
    """Everything that was measured on one set.

    Attributes
    ----------
    name, title, kind : str
        The set.
    scores : list of ObjectScore
        Stills and masklets.
    interactive : list of InteractiveScore
    challenge : list of ChallengeScore
        Whole movies.
    confidence : Confidence
        What the network said while it followed objects.
    seconds : float
        Time that the set took, rivals included.
    automatic : list of ChallengeScore
        Whole movies without a click.
    """

    name: str
    title: str
    kind: str
    scores: list[ObjectScore] = field(default_factory=list)
    interactive: list[InteractiveScore] = field(default_factory=list)
    challenge: list[ChallengeScore] = field(default_factory=list)
    confidence: Confidence = field(default_factory=Confidence)
    seconds: float = 0.0
    automatic: list[ChallengeScore] = field(default_factory=list)


@dataclass(frozen=True)
class Contest:
    """Who is measured.

    Attributes
    ----------
    on_stills : tuple of StillMethod
    on_movies : tuple of MaskletMethod
    interactive : tuple of InteractiveMethod
    unprompted : tuple of UnpromptedMethod
    """

    on_stills: tuple[StillMethod, ...]
    on_movies: tuple[MaskletMethod, ...]
    interactive: tuple[InteractiveMethod, ...]
    unprompted: tuple[UnpromptedMethod, ...] = ()

    @classmethod
    def of(cls, model: SAM2, runtime: Runtime, options: PredictorOptions) -> Contest:
        """Enter a network, and every rival that this machine can run."""
        predictor = VideoPredictor(model, runtime, options)
        rivals = cls.of_rivals()
        whole = ImagePredictor(model, runtime, replace(options, view="whole"))
        stills = (NetworkOnStills(predictor), ImageNetworkOnStills(whole))
        network = NetworkOnMovies(predictor)
        return cls(
            (*stills, *rivals.on_stills),
            (network, *rivals.on_movies),
            (network, *rivals.interactive),
            (NetworkAlone(predictor), *rivals.unprompted),
        )

    @classmethod
    def of_rivals(cls) -> Contest:
        """Enter only the rivals."""
        # Each segments a frame once for all rivals that build on it; so does the flow.
        watersheds = (Watershed("global"), Watershed("local"))
        local = watersheds[1]
        flows = FlowFields()
        has_flow = has_optical_flow()
        flow = (FlowWarp(local, flows),) if has_flow else ()
        corrected = [CorrectedRival("copy the mask", carry_unchanged, local)]
        if has_flow:
            corrected.append(CorrectedRival(FlowWarp.name, CarryByFlow(flows), local))
        return cls(
            (*(WatershedUnderClick(each) for each in watersheds), EllipseInBox()),
            (CopyMask(local), *(LinkedWatershed(each) for each in watersheds), *flow),
            tuple(corrected),
            tuple(LinkedThresholds(each) for each in watersheds),
        )

    def measure(
        self,
        what: EvaluationSet,
        sampling: Sampling,
        protocols: Collection[Protocols] = ALL_PROTOCOLS,
        say: Say = lambda _: None,
    ) -> tuple[SetResult, list[Followed]]:
        """Let everyone answer for the same objects of one set.

        Parameters
        ----------
        what : EvaluationSet
        sampling : Sampling
        protocols : collection of str
        say : callable
            Told what is measured now.

        Returns
        -------
        result : SetResult
        masklets : list of Followed
            The network's masklets from masks, for pictures.
        """
        began = time.perf_counter()
        asked = sampling.of(what.kind)
        result = SetResult(what.name, what.title, what.kind)
        kept: list[Followed] = []
        if "prompts" in protocols:
            say("prompts on single frames")
            stills = pick_stills(list(what.movies), asked.stills, asked.seed)
            for method in self.on_stills:
                result.scores += score_stills(method, stills)
        if what.kind != "stills":
            for movie in what.movies:
                # All methods answer for one movie before the next: rivals keep a movie in mind.
                kept += self._follow(_masklet_tasks(movie, asked, protocols), result, say)
                if "interactive" in protocols:
                    self._correct(movie, asked, result, say)
                if "movie" in protocols and asked.movie_frames != 0:
                    say("whole movie from one click a cell")
                    self._whole(movie, asked, result)
                if "automatic" in protocols and asked.movie_frames != 0:
                    last = asked.movie_frames
                    result.automatic += score_unprompted(self.unprompted, movie, last, say)
        result.seconds = time.perf_counter() - began
        return result, kept

    def _follow(self, tasks: Iterable[MaskletTask], result: SetResult, say: Say) -> list[Followed]:
        """Follow the objects of all tasks, and keep the network's masks."""
        kept = []
        for task in tasks:
            say(task.protocol)
            for method in self.on_movies:
                followed = follow(method, task)
                result.scores += score_followed(followed)
                if method.name == NETWORK:
                    result.confidence.add(followed)
                    kept.append(followed)
        # Of an object that has gone there is nothing to see.
        return [f for f in kept if f.task.prompt == "mask" and ":" not in f.task.protocol]

    def _correct(self, movie: AnnotatedMovie, asked: Sampling, result: SetResult, say: Say) -> None:
        """Run the interactive protocols on objects of a few first frames."""
        length = min(asked.interactive_frames, len(movie.images) - 1)
        for task in pick_masklets(movie, asked.interactive, length, asked.seed, starts=2):
            say(f"interactive, {length} frames from frame {task.first}")
            for method in self.interactive:
                result.interactive += score_offline(method, task, asked.most_interactions)
                result.interactive += score_online(method, task, asked.most_interactions)

    def _whole(self, movie: AnnotatedMovie, asked: Sampling, result: SetResult) -> None:
        """Follow every cell of a movie."""
        last = None if asked.movie_frames is None else asked.movie_frames
        task = whole_movie(movie, last)
        if len(task.scored) < 2 or not task.starts:
            return  # nothing is tracked on one frame
        for method in self.on_movies:
            followed = follow(method, task)
            result.challenge.append(score_challenge(followed))
            if method.name == NETWORK:
                result.confidence.add(followed)


def _masklet_tasks(
    movie: AnnotatedMovie, asked: Sampling, protocols: Collection[Protocols]
) -> list[MaskletTask]:
    """Return all tasks in which objects are followed for some frames."""
    tasks: list[MaskletTask] = []
    # A movie that is shorter is followed from its first frame to its last.
    frames = min(asked.frames, len(movie.images) - 1)
    if "masklets" in protocols:
        tasks += pick_masklets(movie, asked.masklets, frames, asked.seed)
        for prompt in asked.prompts:
            tasks += pick_masklets(
                movie, asked.prompted, frames, asked.seed, starts=2, prompt=prompt
            )
        if asked.long_frames:
            tasks += pick_masklets(
                movie, asked.long_masklets, asked.long_frames, asked.seed, starts=2
            )
    if "events" in protocols:
        if asked.long_frames:
            stretch = pick_stretch(movie, asked.long_masklets, asked.long_frames, asked.seed)
            tasks += [] if stretch is None else [stretch]
        tasks += pick_departures(movie, asked.departures, asked.seed)
    return tasks
