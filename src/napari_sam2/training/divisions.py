"""Training of the division network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from napari_sam2.model.division import GRID, DivisionNet, DivisionOutput
from napari_sam2.predictor.division_crops import BELOW, RANGE
from napari_sam2.training.checkpointing import write_checkpoint, write_weights
from napari_sam2.training.division_data import DivisionSamples
from napari_sam2.training.precision import autocast
from napari_sam2.training.ragged import ragged

__all__ = ["DivisionOptions", "export_division_net", "measure_divisions", "train_divisions"]

_STATE = "division.pt"
_BUMP = 1.0  # deviation of a daughter's place, in cells of the map
_PLACES_WEIGHT = 10.0  # a map is nothing nearly everywhere
_CHUNK = 512
_SHOWN = 4  # pictures of a crop; then comes the mask
_ITS_OWN = 1  # the picture that the mask is of
_ZOOM = 0.2  # deviation of the logarithm: windows are as wide as masks, and masks are wrong
_SHORTEST = 20  # steps over which a tenth of warm-up is more than one


class _Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


@dataclass(frozen=True, slots=True)
class DivisionOptions:
    """How the division network is trained.

    Attributes
    ----------
    epochs, batch : int
        Times that each sample is seen, and samples a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises for a tenth of the steps and falls along a cosine.
    seed : int
    """

    epochs: int = 10
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DivisionFigures:
    """How well divisions are told on samples.

    Attributes
    ----------
    precision : float
        Mean precision over the divisions, by falling score.
    found : float
        Part of the divisions above the score that one in a thousand other cells exceeds.
    threshold : float
        That score, a logit.
    """

    precision: float
    found: float
    threshold: float


def train_divisions(
    samples: DivisionSamples,
    kept_back: DivisionSamples,
    options: DivisionOptions,
    folder: Path,
    say: Callable[[str], None],
    start: DivisionNet | None = None,
) -> DivisionNet:
    """Train the division network; a run that was stopped goes on after its last epoch.

    Parameters
    ----------
    samples, kept_back : DivisionSamples
        To train on, and to measure on after each epoch.
    options : DivisionOptions
    folder : Path
        Keeps where the run stands.
    say : callable
        Told a line an epoch.
    start : DivisionNet, optional
        Trained on; one that knows nothing when absent.

    Returns
    -------
    DivisionNet
        In evaluation mode.

    Raises
    ------
    ValueError
        If there is less than one batch of samples, none of them divides, or the folder holds a run
        of other options or samples.
    OSError
        When the disk is full; the last epoch stays.
    """
    if len(samples) < options.batch or not samples.divided.any():
        raise ValueError(
            f"{int(samples.divided.sum())} divisions among {len(samples)} samples are not enough "
            f"for a batch of {options.batch}: draw more movies"
        )
    torch.manual_seed(options.seed)
    net = start or DivisionNet()
    optimiser, schedule = _optimiser(net, options, len(samples))
    parts: dict[str, _Stateful] = {"net": net, "optimiser": optimiser, "schedule": schedule}
    plan = {**asdict(options), "samples": len(samples)}
    folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(_resumed(folder / _STATE, plan, parts), options.epochs):
        # Each epoch draws by its own seed, so that one that is resumed sees what it would have.
        torch.manual_seed(options.seed + 1000 * (epoch + 1))
        loss = _train_epoch(net, _batches(samples, options.batch), optimiser, schedule)
        states = {name: part.state_dict() for name, part in parts.items()}
        write_checkpoint(folder / _STATE, {"plan": plan, "epochs": epoch + 1, **states})
        figures = measure_divisions(net, kept_back)
        say(
            f"epoch {epoch + 1}: loss {loss:.4f}, mean precision "
            f"{figures.precision:.3f}, found at one false in a thousand {figures.found:.3f}"
        )
    return net.eval()


def _optimiser(
    net: DivisionNet, options: DivisionOptions, samples: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.AdamW(
        net.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    steps = max(samples // options.batch * options.epochs, _SHORTEST)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, steps, pct_start=0.1
    )
    return optimiser, schedule


def _train_epoch(
    net: DivisionNet,
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """Show every batch once; return the mean loss."""
    net.train()
    losses = []
    for crops, divided, places in batches:
        with autocast(torch.device("cpu")):
            output = net(crops)
        output = DivisionOutput(output.score.float(), output.places.float())
        loss = functional.binary_cross_entropy_with_logits(output.score, divided)
        loss = loss + _PLACES_WEIGHT * _places_loss(output.places, places)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return sum(losses) / max(len(losses), 1)


def measure_divisions(net: DivisionNet, samples: DivisionSamples) -> DivisionFigures:
    """Measure how well a network tells divisions from everything else."""
    net.eval()
    with torch.inference_mode():
        scores = torch.cat([net(part).score for part in samples.crops.split(_CHUNK)])
    order = scores.argsort(descending=True)
    is_true = samples.divided[order].float()
    precision = is_true.cumsum(0) / torch.arange(1, len(order) + 1)
    others = scores[~samples.divided].sort(descending=True).values
    threshold = float(others[len(others) // 1000]) if len(others) else 0.0
    return DivisionFigures(
        float((precision * is_true).sum() / is_true.sum().clamp(min=1)),
        float((scores[samples.divided] > threshold).float().mean()),
        threshold,
    )


def export_division_net(net: DivisionNet, target: Path) -> Path:
    """Write weights in half precision."""
    return write_weights(net.state_dict(), target, {"network": "division"})


def _batches(samples: DivisionSamples, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    for rows in torch.randperm(len(samples)).split(size):
        if len(rows) == size:
            crops, places = _varied(samples.crops[rows].float() / 255, samples.places[rows])
            yield 255 * crops, samples.divided[rows].float(), places


def _varied(crops: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Turn crops over, change their light, add noise, spoil masks; crops are 0..1."""
    for axis in (0, 1):
        if torch.rand(()) < 0.5:
            crops = crops.flip(2 + axis)
            places = places.clone()
            places[..., axis] = 1 - places[..., axis]
    if torch.rand(()) < 0.5:
        crops, places = crops.transpose(2, 3), places.flip(-1)
    crops, places = _zoomed(crops, places)
    rows = len(crops)
    shown = RANGE * crops[:, :_SHOWN] - BELOW
    gamma = torch.exp(0.25 * torch.randn(rows, 1, 1, 1))
    gain = torch.exp(0.2 * torch.randn(rows, 1, 1, 1) + 0.08 * torch.randn(rows, _SHOWN, 1, 1))
    shown = gain * shown.clamp(min=0) ** gamma + 0.04 * torch.randn(rows, 1, 1, 1)
    shown = torch.where(torch.rand(rows, 1, 1, 1) < 0.1, 1 - shown, shown)
    shown = shown + 0.15 * torch.rand(rows, 1, 1, 1) ** 3 * torch.randn(shown.shape)
    masks = ragged(crops[:, _SHOWN:], crops[:, _ITS_OWN : _ITS_OWN + 1])
    return torch.cat([((shown + BELOW) / RANGE).clamp(0, 1), masks], 1), places


def _zoomed(crops: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Show more or less of the surroundings."""
    rows = len(crops)
    side = torch.exp(_ZOOM * torch.randn(rows)).clamp(0.65, 1.5)  # of the new window, in old ones
    rest = torch.zeros(rows)
    affine = torch.stack([side, rest, rest, rest, side, rest], 1).view(rows, 2, 3)
    grid = functional.affine_grid(affine, list(crops.shape), align_corners=False)
    zoomed = functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)
    return zoomed, (places - 0.5) / side[:, None, None] + 0.5


def _places_loss(logits: Tensor, places: Tensor) -> Tensor:
    """Compare maps with bumps at the daughters, where both are known to lie in the window."""
    is_known = ((places > 0) & (places < 1)).flatten(1).all(1)
    if not is_known.any():
        return logits.sum() * 0
    target = _bumps(places[is_known])
    return functional.binary_cross_entropy_with_logits(logits[is_known], target)


def _bumps(places: Tensor) -> Tensor:
    """Return maps (B, GRID, GRID) that are 1 at each of B pairs of places, and fall off around."""
    cells = torch.arange(GRID) + 0.5
    away = cells - GRID * places[..., None]  # (B, 2, 2, GRID)
    near = torch.exp(-0.5 * (away / _BUMP) ** 2)
    return (near[:, :, 0, :, None] * near[:, :, 1, None, :]).amax(1)


def _resumed(path: Path, plan: dict[str, object], parts: dict[str, _Stateful]) -> int:
    """Bring a run back and return how many epochs it has done."""
    if not path.is_file():
        return 0
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if saved["plan"] != plan:
        raise ValueError(
            f"{path} is of another run ({saved['plan']}, this one is {plan}): name another folder, "
            "or give the options and movies that it was made with"
        )
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return int(saved["epochs"])
