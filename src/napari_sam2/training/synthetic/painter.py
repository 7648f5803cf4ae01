"""How nuclei look in fluorescence: chromatin, nucleoli, soft edges, light around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.optics import smooth_noise, texture_tile
from napari_sam2.training.synthetic.shapes import Body, FloatArray, Patch, patch_of
from napari_sam2.training.synthetic.staging import drop_hidden, paste_label


@dataclass(frozen=True, slots=True)
class Optics:
    """How the cells of one movie look, before the camera.

    ``psf`` is the standard deviation of the point spread in pixels; ``background`` a share of
    intensity 1; ``texture`` the contrast inside cells and ``grain`` its size in pixels,
    ``churn`` its change per frame in radians; ``edge``
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
    churn: float = 0.0
    edge: float = 1.0
    dim_border: float = 0.3
    rim: float = 1.0
    transparent: bool = True
    debris: int = 0
    clutter: float = 0.0
    glow: float = 0.0
    glow_reach: float = 20.0


class Painter:
    """Draws the nuclei of a frame into an image and a label map."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], optics: Optics) -> None:
        self._rng = rng
        self._shape = shape
        self._optics = optics
        self._weave = [texture_tile(rng, optics.grain, optics.spots) for _ in range(2)]
        self._texture = self._weave[0]
        self._turn = 0.0
        self._clutter = optics.clutter * np.maximum(smooth_noise(rng, shape, 0.12 * shape[0]), 0)
        self._specks = rng.uniform(0, 1, (optics.debris, 4))

    def frame(self, bodies: Sequence[Body]) -> tuple[FloatArray, NDArray[np.uint16]]:
        """Intensities (float32, about 0..1) and labels (uint16) of one frame, both (Y, X)."""
        optics = self._optics
        signal = np.zeros(self._shape, np.float32)
        labels = np.zeros(self._shape, np.uint16)
        self._churn()
        drop_hidden(labels, {body.label: self._paint(body, signal, labels) for body in bodies})
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
        return paste_label(labels, body, patch, patch.level)

    def _churn(self) -> None:
        """Turn the texture of this frame gradually into another one, and back."""
        one, other = np.float32(np.cos(self._turn)), np.float32(np.sin(self._turn))
        if self._turn:
            self._texture = one * self._weave[0] + other * self._weave[1]
        self._turn += self._optics.churn

    def _tile(self, body: Body, patch: Patch) -> FloatArray:
        row = (patch.v.astype(np.intp) + body.texture[0]) & 255
        column = (patch.u.astype(np.intp) + body.texture[1]) & 255
        return np.asarray(self._texture[row, column], np.float32)

    def _inside(self, body: Body, patch: Patch) -> FloatArray:
        optics = self._optics
        contrast = optics.texture * body.contrast * (1 - 0.6 * body.condensed)
        tile = self._tile(body, patch)
        inside = np.maximum(1 + np.float32(contrast) * tile, 0.1)
        depth = np.clip(patch.level / np.float32(optics.rim * body.radius), 0, 1)
        # A nucleus is a lens: brighter where it is thicker.
        border = np.float32(optics.dim_border + (1 - optics.dim_border) * body.condensed)
        inside *= border + (1 - border) * np.sqrt(depth * (2 - depth))
        bright = np.zeros_like(inside)
        for u, v, size, darkness in body.holes:
            reach = np.float32(max(size * body.radius, 0.8))
            away = (patch.u - np.float32(u * body.radius)) ** 2
            away += (patch.v - np.float32(v * body.radius)) ** 2
            # Never quite round.
            fade = np.exp(-((away * np.maximum(1 + 0.2 * tile, 0.3) / reach**2) ** 2))
            strength = np.float32(darkness * (1 - body.condensed)) * fade
            if darkness < 0:
                # Light does not multiply where spots lie on each other.
                np.maximum(bright, -strength, out=bright)
            else:
                inside *= 1 - strength
        inside *= 1 + bright
        gain = body.brightness * (0.15 + 0.85 * body.focus)
        return np.asarray(np.float32(gain) * inside, np.float32)

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
