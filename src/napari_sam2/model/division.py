"""A small network that looks at a cell on successive frames: whether it divides, and into what.

It is no part of SAM 2, and goes with every size of it: SAM 2 knows what an object looked like, and
after a division finds that look twice, or in one daughter. This network has seen cells divide.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GRID", "DivisionNet", "DivisionOutput", "load_division_net"]

GRID = 16
"""Cells along each side of the map on which daughters are found."""

_PICTURES = 5
_SHIPPED = Path(__file__).parent / "weights" / "division.safetensors"


@dataclass(frozen=True, slots=True)
class DivisionOutput:
    """What is thought of B cells.

    Attributes
    ----------
    score : Tensor, (B,)
        Logit of the cell having divided between the last frame and this one.
    places : Tensor, (B, GRID, GRID)
        Logits of the centre of a daughter lying in each cell of the crop.
    """

    score: Tensor
    places: Tensor


class DivisionNet(nn.Module):
    """Three scales of convolutions, one verdict, and a map of daughters.

    Parameters
    ----------
    width : int
        Channels of the finest scale; each coarser one has twice as many.
    """

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        self.fine = nn.Sequential(_layer(_PICTURES, width, 2), _layer(width, width))
        self.middle = nn.Sequential(_layer(width, 2 * width, 2), _layer(2 * width, 2 * width))
        self.coarse = nn.Sequential(
            _layer(2 * width, 4 * width, 2),
            _layer(4 * width, 4 * width),
            _layer(4 * width, 4 * width),
        )
        self.verdict = nn.Sequential(
            nn.Linear(8 * width, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1)
        )
        self.finder = nn.Sequential(_layer(6 * width, 2 * width), nn.Conv2d(2 * width, 1, 1))

    def forward(self, crops: Tensor) -> DivisionOutput:
        """Look at cells.

        Parameters
        ----------
        crops : Tensor, (B, 5, 64, 64) uint8
            Of each cell the frame before the last, the last, this one, the next one, and its mask
            on the last, all through the same window; see `napari_sam2.predictor.division_crops`.
        """
        middle = self.middle(self.fine(crops.float() / 255 - 0.25))  # (B, 2 width, 16, 16)
        coarse = self.coarse(middle)  # (B, 4 width, 8, 8)
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3))], 1)
        wide = functional.interpolate(coarse, size=GRID, mode="bilinear", align_corners=False)
        places = self.finder(torch.cat([middle, wide], 1))[:, 0]
        return DivisionOutput(self.verdict(pooled)[:, 0], places)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def load_division_net(path: Path = _SHIPPED) -> DivisionNet:
    """Return the network with its weights, in evaluation mode.

    Parameters
    ----------
    path : Path
        Safetensors; by default the file that ships in the package.
    """
    net = DivisionNet()
    net.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return net.eval()
