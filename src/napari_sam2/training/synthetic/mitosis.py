"""How the cells of a movie divide: what a mother becomes before, and her daughters after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_sam2.training.synthetic.shapes import Body

#: ``plate``: chromosomes gather in a plate that splits; ``round``: the whole cell rounds up;
#: ``pinch``: it grows long and is tied off in the middle; ``veiled``: the stain fills the whole
#: cell while bright chromosomes gather and part in it, and it is tied off only then.
Way = Literal["plate", "round", "pinch", "veiled"]


@dataclass(frozen=True, slots=True)
class Mitosis:
    """Division as one movie shows it.

    A movie with an hour between its frames shows a nucleus and then two, far apart; one with five
    minutes shows every stage.

    Attributes
    ----------
    way : {"plate", "round", "pinch", "veiled"}
    before, after : int
        Frames of condensation before a division, and of relaxation after it; 0 shows none.
    gain : float
        Brightness gained by condensation.
    goal : float
        Length over width of a mother just before she divides.
    born : float
        Length over width of a daughter just after.
    condensed : float
        0 to 1, how condensed the daughters still are then.
    parting : float
        Where they appear, in radii of the mother in interphase from her centre.
    spread : float
        Deviation of the logarithm of the parting from cell to cell.
    tilt : float
        Deviation of the axis on which they part from that of the mother, radians.
    parted, tied : int
        Of the frames before a ``veiled`` division, those on which chromosomes have parted in what
        is still one cell, and, after these, those on which it is being tied off.
    veil : float
        How bright that cell is beside its chromosomes, in parts of its brightness before.
    loosened : float
        0 to 1, how far the chromosomes have spread out again while it is being tied off.
    waist : float
        How deep it is tied off, in parts of its width.
    """

    way: Way = "round"
    before: int = 3
    after: int = 3
    gain: float = 0.6
    goal: float = 1.05
    born: float = 1.05
    condensed: float = 1.0
    parting: float = 0.48
    spread: float = 0.0
    tilt: float = 0.15
    parted: int = 0
    tied: int = 0
    veil: float = 0.3
    loosened: float = 0.0
    waist: float = 0.5

    @property
    def shrinks(self) -> float:
        """Part of the radius that full condensation takes away."""
        return {"plate": 0.5, "round": 0.2, "pinch": -0.05, "veiled": 0.1}[self.way]

    def axis(self, mother: Body, rng: np.random.Generator) -> float:
        """Draw the direction in which the daughters part, radians."""
        # Across a plate, and along everything else that is longer than wide.
        across = np.pi / 2 if self.way in ("plate", "round") else 0.0
        return float(mother.angle + across + rng.normal(0, self.tilt))

    def distance(self, rng: np.random.Generator) -> float:
        """Draw how far from the mother's centre they appear, in her radii."""
        if not self.spread:
            return self.parting
        return self.parting * float(np.exp(rng.normal(0, self.spread)))


#: As textbooks show it: a plate that splits into two that lie side by side.
PLATES = Mitosis("plate", goal=2.7, born=2.7, parting=0.275)

#: How often cells round up to divide, and how often they are tied off.
WHOLE_CELLS: dict[Way, float] = {"round": 0.7, "pinch": 0.3}


def random_mitosis(rng: np.random.Generator, shares: dict[Way, float]) -> Mitosis:
    """Draw how the cells of a movie divide.

    Parameters
    ----------
    rng : numpy.random.Generator
    shares : dict of str to float
        How often each way is drawn.
    """
    ways = list(shares)
    weights = np.array(list(shares.values()))
    way = ways[int(rng.choice(len(ways), p=weights / weights.sum()))]
    if way == "veiled":
        return _veiled(rng)
    nearest, farthest = {"plate": (0.28, 1.5), "round": (0.45, 1.1), "pinch": (0.6, 1.0)}[way]
    return Mitosis(
        way=way,
        before=int(rng.integers(0, 6)),
        after=int(rng.integers(1, 6)),
        gain=float(rng.uniform(0.1, 1.3)) if way != "pinch" else float(rng.uniform(-0.2, 0.2)),
        goal={"plate": rng.uniform(1.8, 3.2), "round": 1.05, "pinch": rng.uniform(1.3, 2.1)}[way],
        born=float(rng.uniform(1.2, 2.7)) if way == "plate" else 1.05,
        condensed=float(rng.uniform(0.3, 1.0)),
        parting=float(np.exp(rng.uniform(np.log(nearest), np.log(farthest)))),
        spread=float(rng.uniform(0.05, 0.3)),
        tilt=float(rng.uniform(0.1, 0.5)) if way != "pinch" else 0.12,
    )


def _veiled(rng: np.random.Generator) -> Mitosis:
    parted, tied = int(rng.choice(3, p=(0.2, 0.45, 0.35))), int(rng.choice(2, p=(0.4, 0.6)))
    return Mitosis(
        way="veiled",
        before=parted + tied + int(rng.integers(1, 4)),
        after=int(rng.integers(1, 5)),
        gain=float(rng.uniform(0.8, 2.5)),
        goal=float(rng.uniform(1.2, 2.0)),
        born=float(rng.uniform(1.0, 1.5)),
        condensed=float(rng.uniform(0.0, 0.4)),
        parting=float(rng.uniform(0.6, 1.4)),
        spread=float(rng.uniform(0.02, 0.15)),
        tilt=0.15,
        parted=parted,
        tied=tied,
        veil=float(rng.uniform(0.15, 1.0)),
        loosened=float(rng.uniform(0.0, 1.0)),
        waist=float(rng.uniform(0.05, 0.5)),
    )
