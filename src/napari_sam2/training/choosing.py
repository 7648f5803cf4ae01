"""What is chosen beside the weights, on data kept back: views, bias of presence, the rules.

The validation of a run measures clips as they are cut for training. What a user gets also depends
on how the predictor looks at a frame, so these choices are measured through the predictor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training.checkpointing import shift_presence
from napari_sam2.training.datasets import LabelledMovie, read_dsb2018
from napari_sam2.training.finetune_measure import Figures, Sample, measure
from napari_sam2.training.held_back import KindMovies
from napari_sam2.training.synthetic.movie import KINDS

__all__ = ["RULES", "Choice", "compare", "kept_back_movies"]

_ASKED = {
    "stills": Sample(objects=100, followed=0),
    "synthetic": Sample(objects=66, followed=5, starts=1, frames=11),
}


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
    """

    extent: float
    presence: float
    without: str | None = None


def kept_back_movies(data: Path, cache: Path) -> dict[str, list[LabelledMovie]]:
    """Return whole stills and synthetic movies of every kind that no training has seen.

    Parameters
    ----------
    data : Path
        Folder of the annotated sets.
    cache : Path
        Folder where synthetic movies are kept.
    """
    rng = np.random.default_rng(0)
    made = [KindMovies(cache, kind).draw(rng) for kind in sorted(KINDS)]
    return {"stills": read_dsb2018(data, "validation"), "synthetic": made}


def compare(
    model: SAM2, movies: Mapping[str, Sequence[LabelledMovie]], choices: Sequence[Choice]
) -> Iterator[tuple[Choice, str, Figures]]:
    """Measure every choice on every set of movies, a network's weights changed and put back.

    Parameters
    ----------
    model : SAM2
    movies : mapping
        As `kept_back_movies` returns them.
    choices : sequence of Choice

    Yields
    ------
    tuple of Choice, str, Figures
        The choice, the name of the set, the mean IoU.
    """
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for choice in choices:
        model.load_state_dict(shift_presence(weights, choice.presence))
        options = PredictorOptions(view="follow", view_extent=choice.extent)
        if choice.without is not None:
            options = replace(options, **{choice.without: "off"})  # type: ignore[arg-type]
        for name, some in movies.items():
            yield choice, name, measure(model, some, Runtime.auto("cpu"), _ASKED[name], options)
    model.load_state_dict(weights)
