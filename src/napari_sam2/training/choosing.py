"""What is chosen beside the weights, on data kept back: mixture, bias of presence, views, rules.

The validation of a run measures clips as they are cut for training. What a user gets also depends
on how the predictor looks at a frame, so these choices are measured through the predictor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training.checkpointing import Mix, shift_presence
from napari_sam2.training.datasets import LabelledMovie, read_dsb2018
from napari_sam2.training.finetune_measure import Figures, Sample, measure
from napari_sam2.training.held_back import KindMovies
from napari_sam2.training.synthetic.movie import KINDS

__all__ = ["RULES", "Choice", "compare", "kept_back_movies"]

_STILL_OBJECTS = 100
_CLICKED, _FOLLOWED = 6, 5  # objects of a synthetic movie

_KINDS = get_type_hints(PredictorOptions)

RULES = tuple(f.name for f in fields(PredictorOptions) if "off" in get_args(_KINDS[f.name]))
"""Names of what the engine does beside what the reference does, each of which can be off."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to use a network.

    Attributes
    ----------
    extent : float
        Side of a view in diameters of its object.
    presence : float
        Added to the score of presence.
    without : str or None
        The one of `RULES` that is off.
    share : float
        Of the network's weights in the mixture with others.
    """

    extent: float
    presence: float
    without: str | None = None
    share: float = 1.0

    def __str__(self) -> str:
        """Return what it is called in reports."""
        how = f"share {self.share:g}, views {self.extent:g}, presence {self.presence:+g}"
        return how + (f", without {self.without}" if self.without else "")


def kept_back_movies(data: Path, cache: Path, each: int = 1) -> dict[str, list[LabelledMovie]]:
    """Return whole stills and synthetic movies of every kind that no training has seen.

    Parameters
    ----------
    data : Path
        Folder of the annotated sets.
    cache : Path
        Folder where synthetic movies are kept.
    each : int
        Synthetic movies of each kind.
    """
    made = [KindMovies(cache, kind).number(n) for n in range(each) for kind in sorted(KINDS)]
    return {"stills": read_dsb2018(data, "validation"), "synthetic": made}


def compare(
    model: SAM2,
    movies: Mapping[str, Sequence[LabelledMovie]],
    choices: Sequence[Choice],
    others: Path | None = None,
) -> Iterator[tuple[Choice, str, Figures]]:
    """Measure every choice on every set of movies, a network's weights changed and put back.

    Parameters
    ----------
    model : SAM2
    movies : mapping
        As `kept_back_movies` returns them.
    choices : sequence of Choice
    others : Path or None
        Safetensors that the network is mixed with, where a share is not 1.

    Yields
    ------
    tuple of Choice, str, Figures
        The choice, the name of the set, the mean IoU.
    """
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for choice in choices:
        mixed = Mix(others, choice.share).apply(weights) if others else weights
        model.load_state_dict(shift_presence(mixed, choice.presence))
        options = PredictorOptions(view="follow", view_extent=choice.extent)
        if choice.without is not None:
            options = replace(options, **{choice.without: "off"})  # type: ignore[arg-type]
        for name, some in movies.items():
            asked = _asked(name, len(some))
            yield choice, name, measure(model, some, Runtime.auto("cpu"), asked, options)
    model.load_state_dict(weights)


def _asked(name: str, movies: int) -> Sample:
    if name == "stills":
        return Sample(objects=_STILL_OBJECTS, followed=0)
    return Sample(objects=_CLICKED * movies, followed=_FOLLOWED, starts=1, frames=11)
