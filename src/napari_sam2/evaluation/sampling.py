"""How much is asked: enough for small standard errors, little enough for a coffee."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from napari_sam2.evaluation.sets import SetKind
from napari_sam2.evaluation.tasks import PromptKind

Protocols = Literal["prompts", "masklets", "events", "interactive", "movie", "automatic"]
ALL_PROTOCOLS: tuple[Protocols, ...] = get_args(Protocols)


@dataclass(frozen=True)
class Sampling:
    """How many objects of a set are measured, and which.

    Attributes
    ----------
    stills : int
        Objects prompted on single frames.
    masklets : int
        Objects followed from their masks.
    prompted : int
        Objects followed from each other kind of prompt.
    prompts : tuple of str
        Those kinds.
    frames, long_frames : int
        Frames that they are followed; `long_frames` from masks only, 0 for none.
    long_masklets : int
        Objects followed over `long_frames`, and in the stretch with newcomers.
    departures : int
        Objects followed beyond the end of their track; by default all that the challenge movies
        have.
    interactive, interactive_frames, most_interactions : int
        Objects that are corrected, over so many frames, on so many of them.
    movie_frames : int or None
        Frames of the whole-movie protocol; all if None, none if 0.
    seed : int
        The same seed picks the same objects.
    """

    stills: int = 60
    masklets: int = 24
    prompted: int = 6
    prompts: tuple[PromptKind, ...] = ("box", "1 click", "3 clicks", "5 clicks")
    frames: int = 20
    long_frames: int = 40
    long_masklets: int = 8
    departures: int = 60
    interactive: int = 4
    interactive_frames: int = 20
    most_interactions: int = 8
    movie_frames: int | None = None
    seed: int = 0

    @classmethod
    def quick(cls, seed: int = 0) -> Sampling:
        """Return a fifth of everything and less: a look, with large standard errors."""
        return cls(
            stills=12,
            masklets=6,
            prompted=3,
            prompts=("1 click",),
            long_frames=0,
            departures=6,
            interactive=2,
            interactive_frames=8,
            most_interactions=3,
            movie_frames=8,
            seed=seed,
        )

    def limited(self, most: int) -> Sampling:
        """Return a sampling with at most so many objects in every protocol."""
        return replace(
            self,
            stills=min(self.stills, most),
            masklets=min(self.masklets, most),
            prompted=min(self.prompted, most),
            long_masklets=min(self.long_masklets, most),
            departures=min(self.departures, most),
            interactive=min(self.interactive, most),
        )

    def of(self, kind: SetKind) -> Sampling:
        """Return what is asked of a kind of set: short or small ones are asked for less."""
        if kind == "stack":
            return replace(
                self, stills=-(-self.stills // 2), masklets=-(-self.masklets // 2),
                prompts=("1 click",), prompted=-(-self.prompted // 2), frames=10, long_frames=0,
                departures=-(-self.departures // 2), interactive=0, movie_frames=0,
            )  # fmt: skip
        if kind == "synthetic":
            return replace(
                self, stills=-(-self.stills // 5), masklets=-(-self.masklets // 6),
                prompts=("1 click",), prompted=-(-self.prompted // 3), frames=15, long_frames=0,
                interactive=-(-self.interactive // 4), departures=-(-self.departures // 6),
                movie_frames=0,
            )  # fmt: skip
        return self
