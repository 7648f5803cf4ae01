"""Teaches the judge of masks what the bundled network's answers to clicks are worth.

The network is clicked as a user clicks it, through the predictor, on stills and movies that it has
learned from itself, in windows that it has not seen: its answers there are hardly better than on
others (mean IoU 0.71, and 0.72 on movies kept back).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_sam2.evaluation.clicks import innermost_point
from napari_sam2.evaluation.metrics import BoolMask, iou
from napari_sam2.model.judge import MaskJudge, traits_of
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.answering import candidate_records
from napari_sam2.predictor.frame_encoder import FrameEncoder
from napari_sam2.predictor.options import PredictorOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import PointPrompt
from napari_sam2.training.checkpointing import write_weights
from napari_sam2.training.clip_sources import MovieSet
from napari_sam2.training.datasets import LabelledMovie

__all__ = [
    "JudgeFigures",
    "JudgeSamples",
    "draw_judge_samples",
    "export_judge",
    "measure_judge",
    "samples_of",
    "train_judge",
]

_SEED = 77
_SMALLEST_AREA = 24
_STILLS = 0.3  # share of the clicks; the rest is on synthetic movies
_OBJECTS = 4  # of one frame
_CHUNK = 200  # clicks a file
_OFF_CENTRE = 0.5  # share of the clicks that are not in the middle
_DEEP = 0.5  # of the greatest depth, at least, of a click that is not

_EPOCHS, _BATCH = 30, 64
_RATE, _DECAY = 2e-3, 0.3
_NOISE = 0.1  # of a trait's standard deviation
_RANKING = 2.0  # weight of the order of an object's masks beside their IoU
_LEAST_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class JudgeSamples:
    """Masks that clicks were answered with.

    Attributes
    ----------
    traits : Tensor, (N, 3, TRAITS)
    true : Tensor, (N, 3)
        IoU with what was clicked.
    predicted : Tensor, (N, 3)
        What the decoder said it would be.
    """

    traits: Tensor
    true: Tensor
    predicted: Tensor

    def __len__(self) -> int:
        """Clicks."""
        return len(self.true)

    @classmethod
    def joined(cls, parts: Iterable[JudgeSamples]) -> JudgeSamples:
        """Join several sets of samples."""
        rows = [(part.traits, part.true, part.predicted) for part in parts]
        return cls(*(torch.cat(column) for column in zip(*rows, strict=True)))


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """What a judge is worth on samples.

    Attributes
    ----------
    chosen, chosen_before, best : float
        Mean IoU of the mask that the judge chooses, that the decoder chooses, and of the best one.
    error, error_before : float
        Mean absolute error of the IoU that the judge, and the decoder, expect of all masks.
    """

    chosen: float
    chosen_before: float
    best: float
    error: float
    error_before: float


def samples_of(
    model: SAM2, stills: MovieSet, made: MovieSet, folder: Path, name: str, count: int
) -> JudgeSamples:
    """Return samples of a network's answers, drawn where they are not in a folder yet.

    Parameters
    ----------
    model : SAM2
        The bundled network.
    stills, made : MovieSet
        Photographed and synthetic ones.
    folder : Path
        Keeps what was drawn, so that drawing goes on where it was stopped.
    name : str
        Of these samples in the folder; another one for another network.
    count : int
        Clicks; the last file of 200 may hold more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number in range(-(-count // _CHUNK)):
        path = folder / f"{name}_{number:04d}.npz"
        if not path.exists():
            rng = np.random.default_rng((_SEED, number))
            _write(path, draw_judge_samples(model, _mixed(stills, made, rng), _CHUNK, rng))
        with np.load(path) as saved:
            parts.append(JudgeSamples(*(torch.from_numpy(saved[n]) for n in _COLUMNS)))
    return JudgeSamples.joined(parts)


_COLUMNS = ("traits", "true", "predicted")


def _write(path: Path, samples: JudgeSamples) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **{name: getattr(samples, name).numpy() for name in _COLUMNS})
    part.replace(path)


def _mixed(stills: MovieSet, made: MovieSet, rng: np.random.Generator) -> Iterator[LabelledMovie]:
    while True:
        yield (stills if rng.random() < _STILLS else made).draw(rng)


def draw_judge_samples(
    model: SAM2, movies: Iterable[LabelledMovie], count: int, rng: np.random.Generator
) -> JudgeSamples:
    """Click objects of movies, a few on a frame of each.

    Parameters
    ----------
    model : SAM2
    movies : iterable of LabelledMovie
        As many as are needed.
    count : int
        Clicks.
    rng : numpy.random.Generator
    """
    options = PredictorOptions(view="follow", judge="off", second_question="off")
    predictor = VideoPredictor(model, Runtime.auto("cpu"), options)
    rows: list[tuple[Tensor, list[float], Tensor]] = []
    for movie in movies:
        frame = int(rng.integers(len(movie)))
        table = movie.objects(frame)
        for number in rng.permutation(table.ids[table.areas >= _SMALLEST_AREA])[:_OBJECTS]:
            rows.append(_clicked(predictor, movie, frame, int(number), rng))
        if len(rows) >= count:
            break
    traits, true, predicted = zip(*rows[:count], strict=True)
    return JudgeSamples(torch.stack(traits), torch.tensor(true), torch.stack(predicted))


def _clicked(
    predictor: VideoPredictor,
    movie: LabelledMovie,
    frame: int,
    number: int,
    rng: np.random.Generator,
) -> tuple[Tensor, list[float], Tensor]:
    """Click one object; describe the masks of the answer, and say what they are worth."""
    truth = np.asarray(movie.labels[frame] == number)
    session = VideoSession.open(movie.images)
    predictor.predict_frame(session, PointPrompt(1, frame, _point_in(truth, rng)))
    answered = session.objects[1].answers[frame]
    prediction = answered.prediction
    # Kept from when the answer was given: nothing is encoded twice.
    encoder = FrameEncoder(predictor.model, predictor.runtime)
    seen = encoder.features(session, frame, answered.view)
    traits = traits_of(prediction.candidates, prediction.ious, prediction.tokens, seen.stride4)
    records = candidate_records(prediction, answered.view)
    true = [iou(record.mask(truth.shape), truth) for record in records]
    return traits[0].clone(), true, prediction.ious[0].float().clone()


def _point_in(mask: BoolMask, rng: np.random.Generator) -> tuple[float, float]:
    """Return a click in a mask: its innermost point, or another one that lies deep."""
    if rng.random() >= _OFF_CENTRE:
        return innermost_point(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    places = np.argwhere(depth >= _DEEP * depth.max())
    y, x = places[rng.integers(len(places))]
    return float(y), float(x)


def train_judge(samples: JudgeSamples, seed: int = 0) -> MaskJudge:
    """Train a judge; a minute of one core.

    Parameters
    ----------
    samples : JudgeSamples
    seed : int

    Returns
    -------
    MaskJudge
        In evaluation mode.

    Raises
    ------
    ValueError
        If there is less than one batch of samples.
    """
    if len(samples) < _BATCH:
        raise ValueError(f"{len(samples)} clicks are no batch of {_BATCH}: draw more")
    torch.manual_seed(seed)
    judge = MaskJudge()
    judge.mean.copy_(samples.traits.mean((0, 1)))
    judge.scale.copy_(samples.traits.std((0, 1)) + _LEAST_SCALE)
    optimiser = torch.optim.AdamW(judge.parameters(), _RATE, weight_decay=_DECAY)
    steps = _EPOCHS * (len(samples) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(samples)).split(_BATCH):
            if len(rows) < _BATCH:
                continue
            traits = samples.traits[rows]
            noise = _NOISE * judge.scale * torch.randn_like(traits)
            loss = _loss(judge(traits + noise), samples.true[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return judge.eval()


def _loss(logits: Tensor, true: Tensor) -> Tensor:
    """Return how wrong heads (H, B, 3) are about the IoU (B, 3), and about which is larger."""
    true = true.expand_as(logits)
    wrong = functional.binary_cross_entropy_with_logits(logits, true)
    gaps = true[..., :, None] - true[..., None, :]
    said = logits[..., :, None] - logits[..., None, :]
    order = functional.softplus(-said * gaps.sign()) * gaps.abs()
    return wrong + _RANKING * order.mean()


@torch.inference_mode()
def measure_judge(judge: MaskJudge, samples: JudgeSamples) -> JudgeFigures:
    """Measure a judge on samples that it has not learned from."""
    found, true, before = judge.ious(samples.traits), samples.true, samples.predicted

    def chosen_by(scores: Tensor) -> float:
        return float(true.gather(1, scores.argmax(1, keepdim=True)).mean())

    return JudgeFigures(
        chosen_by(found),
        chosen_by(before),
        float(true.amax(1).mean()),
        float((found - true).abs().mean()),
        float((before - true).abs().mean()),
    )


def export_judge(judge: MaskJudge, target: Path) -> Path:
    """Write weights in half precision."""
    return write_weights(judge.state_dict(), target, {"network": "judge"})
