"""Simulated people: first prompts from true masks and corrective clicks from errors.

Everything here is batched over rows (objects) and knows only masks of the network's input size.
Generators live on the device of the masks.
Points leave as (x, y) in input pixels, pixel centres at integers, which is what the prompt
encoder takes; labels are 0 negative, 1 positive, 2 and 3 the corners of a box, -1 no point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    import numpy as np

PromptKind = Literal["click", "box", "mask"]
_DEPTH = 10  # erosions; objects thicker than 2 * 2 * 10 pixels have a plateau in their middle


@dataclass(frozen=True, slots=True)
class PointRows:
    """Points of every row.

    Attributes
    ----------
    points : Tensor, (B, P, 2) float32, (x, y) in input pixels
    labels : Tensor, (B, P) int64
    """

    points: torch.Tensor
    labels: torch.Tensor

    def append(self, other: PointRows) -> PointRows:
        """Return the points of both, those of `other` last."""
        return PointRows(
            torch.cat([self.points, other.points], dim=1),
            torch.cat([self.labels, other.labels], dim=1),
        )


def depth_inside(region: torch.Tensor) -> torch.Tensor:
    """Return how far inside `region` each pixel lies, in steps of two pixels, capped.

    Parameters
    ----------
    region : Tensor, (B, H, W) bool

    Returns
    -------
    Tensor, (B, H, W) float32, 0 outside, at least 1 inside
    """
    count, height, width = region.shape
    cells = region.reshape(count, height // 2, 2, width // 2, 2)
    small = (cells[:, :, 0] | cells[:, :, 1]).any(-1).to(torch.uint8)  # (B, H/2, W/2)
    total = small.clone()
    for _ in range(_DEPTH):
        small = _erode(small)
        total += small
    full = total.repeat_interleave(2, 1).repeat_interleave(2, 2)  # (B, H, W)
    return (full * region).float()


def _erode(solid: torch.Tensor) -> torch.Tensor:
    """Take one layer off, (B, h, w) uint8; the frame's edge counts as a border.

    Slices, because pooling takes a hundred times longer on a CPU.
    """
    rows = torch.zeros_like(solid)
    rows[:, 1:-1] = solid[:, 1:-1] & solid[:, :-2] & solid[:, 2:]
    result = torch.zeros_like(solid)
    result[:, :, 1:-1] = rows[:, :, 1:-1] & rows[:, :, :-2] & rows[:, :, 2:]
    return result


def sample_inside(
    region: torch.Tensor, generator: torch.Generator, *, central: float = 0.5
) -> torch.Tensor:
    """Draw one pixel of every region.

    Parameters
    ----------
    region : Tensor, (B, H, W) bool
    generator : torch.Generator
    central : float
        Chance of a pixel far from the border, as people click; otherwise uniform.

    Returns
    -------
    Tensor, (B, 2) float32, (x, y); the frame's centre where the region is empty
    """
    count, height, width = region.shape
    device = region.device
    score = torch.rand(region.shape, generator=generator, device=device).mul_(region)
    is_central = torch.rand(count, generator=generator, device=device) < central
    rows = is_central.nonzero()[:, 0]
    # Levels of depth are two apart, so noise never beats depth and breaks its ties.
    score[rows] += depth_inside(region[rows]) * 2.0
    best = score.flatten(1).argmax(1)  # (B,)
    points = torch.stack([best % width, best // width], dim=1).float()
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=device)
    return torch.where(region.flatten(1).any(1)[:, None], points, centre)


def first_click(masks: torch.Tensor, generator: torch.Generator) -> PointRows:
    """Draw one positive click in every mask, (B, H, W) bool."""
    points = sample_inside(masks, generator, central=0.6)[:, None]  # (B, 1, 2)
    return PointRows(points, torch.ones_like(points[..., 0], dtype=torch.int64))


def bounding_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return (x0, y0, x1, y1) of every mask, (B, H, W) bool, last pixels included.

    An empty mask has the box of the whole frame.
    """
    height, width = masks.shape[1:]
    columns, rows = masks.any(1), masks.any(2)  # (B, W), (B, H)
    edges = []
    for line, size in ((columns, width), (rows, height)):
        index = torch.arange(size, device=masks.device)
        edges.append(torch.where(line, index, size).amin(1) % size)
        last = torch.where(line, index, -1).amax(1)
        edges.append(torch.where(last < 0, size - 1, last))
    x0, x1, y0, y1 = edges
    return torch.stack([x0, y0, x1, y1], dim=1).float()


def first_box(masks: torch.Tensor, generator: torch.Generator, *, jitter: float = 0.1) -> PointRows:
    """Return the box of every mask as two corner points, each moved as a hand would.

    Parameters
    ----------
    masks : Tensor, (B, H, W) bool
    generator : torch.Generator
    jitter : float
        Standard deviation of the move over the side of the box; at most 20 pixels.
    """
    height, width = masks.shape[1:]
    boxes = bounding_boxes(masks)
    side = (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)  # (B, 4)
    moves = torch.randn(boxes.shape, generator=generator, device=boxes.device) * side * jitter
    limit = side.mul(0.2).clamp(max=20.0)
    boxes = boxes + torch.minimum(torch.maximum(moves, -limit), limit)
    limits = boxes.new_tensor([width - 1, height - 1] * 2)
    boxes = torch.minimum(boxes.clamp(min=0.0), limits)
    labels = torch.tensor([2, 3], device=boxes.device).expand(len(boxes), 2)
    return PointRows(boxes.reshape(-1, 2, 2), labels)


def boxed(clicks: PointRows, found: torch.Tensor) -> PointRows:
    """Add to clicks the box and the centre of what was found under them.

    Parameters
    ----------
    clicks : PointRows
    found : Tensor, (B, H, W) bool
        A row without a pixel is asked about with the box of the frame, and its own click twice.
    """
    boxes = bounding_boxes(found).reshape(-1, 2, 2)
    depth = depth_inside(found).flatten(1)  # (B, H * W)
    deepest, width = depth.argmax(1), found.shape[2]
    centre = torch.stack([deepest % width, deepest // width], dim=1).float()
    centre = torch.where(depth.any(1)[:, None], centre, clicks.points[:, 0])
    corners = torch.tensor([2, 3], device=found.device).expand(len(boxes), 2)
    positive = torch.ones_like(clicks.labels[:, :1])
    return PointRows(
        torch.cat([boxes, clicks.points, centre[:, None]], dim=1),
        torch.cat([corners, clicks.labels, positive], dim=1),
    )


def corrective_click(
    truth: torch.Tensor,
    predicted: torch.Tensor,
    generator: torch.Generator,
    *,
    from_truth: float = 0.1,
) -> PointRows:
    """Draw a click from the error of every row: positive where missed, negative where too much.

    Parameters
    ----------
    truth, predicted : Tensor, (B, H, W) bool
    generator : torch.Generator
    from_truth : float
        Chance of a positive click anywhere in the true mask instead; always so for a row
        without an error. A row with neither gets a point labelled -1.
    """
    missed, extra = truth & ~predicted, predicted & ~truth
    # A person clicks the larger of the two errors.
    is_missed = missed.flatten(1).sum(1) >= extra.flatten(1).sum(1)
    region = torch.where(is_missed[:, None, None], missed, extra)
    anywhere = torch.rand(len(truth), generator=generator, device=truth.device) < from_truth
    anywhere |= ~region.flatten(1).any(1)
    has_truth = truth.flatten(1).any(1)
    use_truth = anywhere & has_truth
    region = torch.where(use_truth[:, None, None], truth, region)
    labels = torch.where(use_truth | is_missed, 1, 0)
    labels = torch.where(region.flatten(1).any(1), labels, -1)
    points = sample_inside(region, generator, central=0.7)
    return PointRows(points[:, None], labels[:, None])


def torch_generator(
    rng: np.random.Generator, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a generator of torch on a device, seeded by one draw of a numpy one.

    Each kind of device draws its own numbers from the same seed.
    """
    generator = torch.Generator(device)
    generator.manual_seed(int(rng.integers(2**62)))
    return generator
