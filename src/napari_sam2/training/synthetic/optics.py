"""How synthetic cells look: fluorescence, phase contrast, membranes, background and camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of

#: How bodies are painted.
Style = Literal["nuclei", "whole", "tissue"]

#: Below this focus a cell is no longer annotated: a person would not see it.
VISIBLE_FOCUS = 0.3
#: A cell of which less than this share is not hidden by others is not annotated either.
VISIBLE_SHARE = 0.35
#: Nor is a sliver of fewer pixels at the border of the frame.
SMALLEST_SLIVER = 8


@dataclass(frozen=True, slots=True)
class Optics:
    """How the cells of one movie look, before the camera.

    ``psf`` is the standard deviation of the point spread in pixels; ``background`` a share of
    intensity 1; ``texture`` the contrast inside cells and ``grain`` its size in pixels; ``edge``
    the softness of outlines in pixels; ``dim_border`` the brightness at the border and ``rim`` how
    deep (in radii) the full one is reached; ``transparent`` cells add up where they overlap;
    ``debris`` is the number of unlabelled specks; ``clutter`` the strength of unlabelled cloudy
    background that moves with the cells; ``glow`` the light that cells shed around them.
    """

    psf: float = 1.0
    background: float = 0.1
    texture: float = 0.3
    grain: float = 3.0
    spots: float = 1.0
    edge: float = 1.0
    dim_border: float = 0.3
    rim: float = 1.0
    transparent: bool = True
    debris: int = 0
    clutter: float = 0.0
    glow: float = 0.0
    glow_reach: float = 20.0


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> FloatArray:
    """Make a tileable random field of mean 0 and standard deviation 1; ``sigma`` in pixels."""
    coarse = max(1, int(sigma / 3))
    small = (max(shape[0] // coarse, 4), max(shape[1] // coarse, 4))
    noise = rng.standard_normal(small, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma / coarse, mode="wrap")
    if coarse > 1:
        zoom = (shape[0] / small[0], shape[1] / small[1])
        noise = ndimage.zoom(noise, zoom, order=1, mode="grid-wrap", grid_mode=True)
    noise -= noise.mean()
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def texture_tile(rng: np.random.Generator, grain: float, spots: float = 1.0) -> FloatArray:
    """Make a 256 x 256 tileable texture, mean about 0, deviation about 1.

    ``grain`` is the size of the fine part in pixels; ``spots`` is 1 for dark and -1 for bright
    spots.
    """
    fine = smooth_noise(rng, (256, 256), grain)
    coarse = smooth_noise(rng, (256, 256), 3 * grain)
    marks = np.maximum(smooth_noise(rng, (256, 256), 1.5 * grain) - 1.3, 0)
    share = rng.dirichlet((2, 2, 1))
    return np.asarray(
        1.6 * (share[0] * fine + share[1] * coarse - 3 * spots * share[2] * marks), np.float32
    )


class Painter:
    """Draws the bodies of a frame into an image and a label map."""

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int], style: Style, optics: Optics
    ) -> None:
        self._rng = rng
        self._shape = shape
        self._style = style
        self._optics = optics
        self._texture = texture_tile(rng, optics.grain, optics.spots)
        self._clutter = optics.clutter * np.maximum(smooth_noise(rng, shape, 0.12 * shape[0]), 0)
        self._specks = rng.uniform(0, 1, (optics.debris, 4))

    def frame(self, bodies: Sequence[Body]) -> tuple[FloatArray, NDArray[np.uint16]]:
        """Intensities (float32, about 0..1) and labels (uint16) of one frame, both (Y, X)."""
        optics = self._optics
        signal = np.zeros(self._shape, np.float32)
        labels = np.zeros(self._shape, np.uint16)
        if self._style == "tissue":
            self._paint_tissue(bodies, signal, labels)
        else:
            areas = {body.label: self._paint(body, signal, labels) for body in bodies}
            drop_hidden(labels, areas)
        signal += self._clutter
        self._paint_specks(signal)
        if optics.glow > 0:
            signal += self._glow(signal)
        if optics.psf > 0.3:
            signal = ndimage.gaussian_filter(signal, optics.psf, truncate=3)
        return np.asarray(signal + np.float32(optics.background), np.float32), labels

    # ------------------------------------------------------------------ cells

    def _paint(self, body: Body, signal: FloatArray, labels: NDArray[np.uint16]) -> int:
        """Draw a body; its area in the frame, pixels."""
        optics = self._optics
        blur = optics.edge * (1 + 5 * (1 - body.focus)) if body.label else 0.8
        patch = patch_of(body, self._shape, 5 * blur + 2, rod=False)
        if patch is None:
            return 0
        cover = 1 / (1 + np.exp(np.clip(-patch.level / np.float32(blur), -30, 30)))
        inside = self._inside(body, patch)
        view = signal[patch.window]
        if optics.transparent:
            view += cover * inside
        else:
            view *= 1 - 0.85 * cover
            view += cover * inside
        solid = patch.level > 0
        # A cell out of focus hides what is behind it no more than it shows itself.
        if body.focus > VISIBLE_FOCUS and body.label:
            labels[patch.window][solid] = body.label
        return int(solid.sum())

    def _tile(self, body: Body, patch: Patch) -> FloatArray:
        row = (patch.v.astype(np.intp) + body.texture[0]) & 255
        column = (patch.u.astype(np.intp) + body.texture[1]) & 255
        return np.asarray(self._texture[row, column], np.float32)

    def _inside(self, body: Body, patch: Patch) -> FloatArray:
        optics = self._optics
        contrast = optics.texture * body.contrast * (1 - 0.6 * body.condensed)
        inside = np.maximum(1 + np.float32(contrast) * self._tile(body, patch), 0.1)
        depth = np.clip(patch.level / np.float32(optics.rim * body.radius), 0, 1)
        if self._style in ("whole", "nuclei"):
            # A nucleus is a lens: brighter where it is thicker.
            border = np.float32(optics.dim_border + (1 - optics.dim_border) * body.condensed)
            inside *= border + (1 - border) * np.sqrt(depth * (2 - depth))
        for u, v, size, darkness in body.holes:
            reach = np.float32(max(size * body.radius, 0.8))
            away = (patch.u - np.float32(u * body.radius)) ** 2
            away += (patch.v - np.float32(v * body.radius)) ** 2
            fade = np.exp(-((away / reach**2) ** 2))
            inside *= 1 - np.float32(darkness * (1 - body.condensed)) * fade
        gain = body.brightness * (0.15 + 0.85 * body.focus)
        return np.asarray(np.float32(gain) * inside, np.float32)

    def _paint_tissue(
        self, bodies: Sequence[Body], signal: FloatArray, labels: NDArray[np.uint16]
    ) -> None:
        best = np.full(self._shape, np.inf, np.float32)
        second = np.full(self._shape, np.inf, np.float32)
        for body in bodies:
            grown = body.copy()
            grown.radius = 1.7 * body.radius
            patch = patch_of(grown, self._shape, 2, rod=False)
            if patch is None:
                continue
            far = np.where(patch.level > 0, np.float32(grown.radius) - patch.level, np.inf)
            far = far / np.float32(grown.radius)
            first, next_best, label = best[patch.window], second[patch.window], labels[patch.window]
            closer = far < first
            next_best[...] = np.where(closer, first, np.minimum(next_best, far))
            label[closer] = body.label
            first[closer] = far[closer]
            glow = 0.12 * self._inside(body, patch)
            view = signal[patch.window]
            view[closer] = glow[closer]
        self._outline(bodies, np.minimum(second, 1.0) - best, signal, labels)

    def _outline(
        self,
        bodies: Sequence[Body],
        gap: FloatArray,
        signal: FloatArray,
        labels: NDArray[np.uint16],
    ) -> None:
        # gap is 0 on the border between cells and grows by about 1 over a radius.
        radius = float(np.mean([b.radius for b in bodies]))
        width = np.float32((1.0 + self._optics.edge) / max(radius, 4.0))
        inside = labels > 0
        ridge = np.exp(-((gap / width) ** 2), where=inside, out=np.zeros_like(signal))
        patchy = 1 + 0.35 * np.resize(self._texture, signal.shape)
        signal += 0.9 * ridge * np.maximum(patchy, 0.1)
        for body in bodies:
            if body.condensed > 0:
                nucleus = body.copy()
                nucleus.radius *= 0.5
                patch = patch_of(nucleus, self._shape, 2, rod=False)
                if patch is not None:
                    signal[patch.window] += np.float32(0.3 * body.condensed) * (patch.level > 0)

    # ------------------------------------------------------------- background

    def _glow(self, signal: FloatArray) -> FloatArray:
        """Light from above and below the focal plane, computed on a quarter of the pixels."""
        small = signal[::4, ::4]
        wide = ndimage.gaussian_filter(small, self._optics.glow_reach / 4, truncate=3)
        grown = np.repeat(np.repeat(wide, 4, 0), 4, 1)[: signal.shape[0], : signal.shape[1]]
        soft = ndimage.uniform_filter(grown, 5)
        return np.asarray(np.float32(self._optics.glow) * soft, np.float32)

    def _paint_specks(self, signal: FloatArray) -> None:
        height, width = self._shape
        for y, x, size, strength in self._specks:
            speck = Body(0, y * height, x * width, 0.8 + 2.5 * size)
            patch = patch_of(speck, self._shape, 3, rod=False)
            if patch is not None:
                soft = 1 / (1 + np.exp(np.clip(-2 * patch.level, -30, 30)))
                signal[patch.window] += np.float32(0.2 + strength) * soft


def drop_hidden(labels: NDArray[np.uint16], areas: dict[int, int]) -> None:
    """Erase from labels (Y, X) what is mostly covered; ``areas`` is pixels drawn per label."""
    seen = np.bincount(labels.ravel())
    hidden = np.zeros(len(seen), bool)
    for label, area in areas.items():
        if 0 < label < len(seen) and seen[label] < max(VISIBLE_SHARE * area, SMALLEST_SLIVER):
            hidden[label] = True
    if hidden.any():
        labels[hidden[labels]] = 0
