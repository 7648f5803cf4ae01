"""Stacks of round nuclei: bodies appear, grow, shrink and end from slice to slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from napari_sam2.training.synthetic.cells import random_optics, sometimes
from napari_sam2.training.synthetic.painter import Painter
from napari_sam2.training.synthetic.population import Habit
from napari_sam2.training.synthetic.scene import Scene
from napari_sam2.training.synthetic.shapes import Body
from napari_sam2.training.synthetic.staging import VISIBLE_FOCUS

_SMALLEST_RADIUS = 2.5
_MOST = 70


def embryo_scene(rng: np.random.Generator, frames: int, shape: tuple[int, int]) -> Scene:
    """Draw an embryo, a spheroid or a tissue slice by slice.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    frames : int
        Number of slices.
    shape : tuple of int
        Height and width in pixels.

    Returns
    -------
    Scene
        Signal, labels and an empty lineage.
    """
    diameter = float(np.exp(rng.uniform(np.log(14), np.log(64))))
    step = diameter / float(rng.uniform(3, 12))
    places = _places(rng, diameter, (frames * step, float(shape[0]), float(shape[1])))
    solids = [_solid(rng, number, place, diameter) for number, place in enumerate(places, 1)]
    optics = replace(
        random_optics(rng, Habit(diameter=diameter)),
        dim_border=float(rng.uniform(0.4, 1.0)),
        debris=0,
        glow=float(rng.uniform(0, 0.8)),
        transparent=True,
    )
    painter = Painter(rng, shape, optics)
    axial = diameter * float(rng.uniform(0.05, 0.3))
    fading = sometimes(rng, 0.06)
    embryo = _embryo(rng, shape, frames)
    signal = np.empty((frames, *shape), np.float32)
    labels = np.empty((frames, *shape), np.uint16)
    for index in range(frames):
        cut = [_cut(body, float(place[0]), index * step, axial) for body, place in solids]
        signal[index], labels[index] = painter.frame([body for body in cut if body is not None])
        signal[index] += embryo[index]
        signal[index] *= np.float32(np.exp(-fading * index))
    return Scene(signal, labels)


def _places(
    rng: np.random.Generator, diameter: float, size: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Centres (N, 3) z, y, x of bodies that hardly overlap, in a ball or everywhere."""
    room = np.asarray(size) + diameter
    fill = float(np.exp(rng.uniform(np.log(0.03), np.log(0.45))))
    count = int(np.clip(fill * room.prod() / (np.pi / 6 * diameter**3), 3, _MOST))
    places = rng.uniform(0, 1, (count, 3)) * room - diameter / 2
    if rng.random() < 0.5:
        spread = rng.normal(0, 0.2, (count, 3)) * room
        places = np.asarray(size) * rng.uniform(0.35, 0.65, 3) + spread
    tight = float(rng.uniform(0.75, 1.1))
    for _ in range(40):
        apart = places[:, None] - places[None]
        distance = np.linalg.norm(apart, axis=2) + 1e-3
        push = np.maximum(tight * diameter - distance, 0)
        np.fill_diagonal(push, 0)
        places += 0.3 * ((push / distance)[..., None] * apart).sum(1)
    return np.asarray(places)


def _solid(
    rng: np.random.Generator, number: int, place: NDArray[np.float64], diameter: float
) -> tuple[Body, NDArray[np.float64]]:
    waves = np.stack([rng.normal(0, 0.04, 4) / np.arange(1, 5), rng.uniform(0, 2 * np.pi, 4)], 1)
    body = Body(
        label=number,
        y=float(place[1]),
        x=float(place[2]),
        radius=diameter / 2 * float(np.exp(rng.normal(0, 0.12))),
        elongation=float(rng.uniform(1, 1.5)),
        angle=float(rng.uniform(0, np.pi)),
        modes=waves,
        brightness=float(np.exp(rng.normal(0, 0.35))),
        contrast=float(np.exp(rng.normal(0, 0.25))),
        depth=float(rng.random()),
        texture=(int(rng.integers(256)), int(rng.integers(256))),
    )
    return body, place


def _cut(body: Body, z: float, plane: float, axial: float) -> Body | None:
    """Return the body as a plane shows it; light from above and below is not annotated."""
    height = abs(plane - z)
    inside = body.radius - height
    share = 0.5 * (1 + float(erf(inside / axial)))
    if share < 0.03:
        return None
    seen = body.copy()
    seen.radius = float(np.sqrt(max(body.radius**2 - height**2, 0)))
    seen.texture = (body.texture[0] + int(2 * plane), body.texture[1] + int(plane))
    seen.modes[:, 1] += plane / (2 * body.radius)
    seen.y += 0.15 * (plane - z) * np.sin(body.angle * 3)
    seen.x += 0.15 * (plane - z) * np.cos(body.angle * 3)
    if seen.radius < max(0.3 * body.radius, _SMALLEST_RADIUS):
        seen.radius = max(0.45 * body.radius, _SMALLEST_RADIUS)
        seen.focus = 0.8 * VISIBLE_FOCUS
        share /= 0.15 + 0.85 * seen.focus
    seen.brightness = body.brightness * share
    return seen


def _embryo(rng: np.random.Generator, shape: tuple[int, int], frames: int) -> NDArray[np.float32]:
    """Weak light of the cytoplasm: a ball whose section grows and shrinks, (T, Y, X)."""
    glow = sometimes(rng, 0.15)
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    away = np.hypot(y - rng.uniform(-0.3, 0.3), x - rng.uniform(-0.3, 0.3))
    z = np.linspace(-0.9, 0.9, frames)[:, None, None] if frames > 1 else np.zeros((1, 1, 1))
    ball = float(rng.uniform(0.8, 1.3)) * np.sqrt(np.maximum(1 - z**2, 0)) - away
    return np.asarray(glow / (1 + np.exp(-12 * ball)), np.float32)
