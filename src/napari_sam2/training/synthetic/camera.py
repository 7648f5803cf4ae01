"""What every microscope and camera does to a scene: stage, light, focus, noise and numbers.

Labels follow the stage, are emptied where a frame shows nothing, and are otherwise left alone:
they stay the truth about what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.training.synthetic.optics import smooth_noise
from napari_sam2.training.synthetic.scene import Scene

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Images = NDArray[np.uint8] | NDArray[np.uint16]
#: What carries the picture: it decides which faults are plausible.
Light = Literal["fluorescence", "transmitted", "electrons"]
Fault = Literal["dark", "bright", "repeated"]


@dataclass(frozen=True, slots=True)
class Camera:
    """Properties of one microscope and camera that do not change during a movie.

    Attributes
    ----------
    photons : float
        Count at signal 1; the shot noise follows from it.
    read_noise, offset : float
        Deviation and level of the dark camera, as shares of signal 1.
    noise_blur : float
        Standard deviation in pixels of a smoothing after the noise (demosaicked or denoised).
    unevenness : float
        Loss of light at the far corner of the field, 0 to 1.
    bleaching : float
        Loss of signal per frame.
    haze : float
        Strength of cloudy light that lies out of focus, as a share of signal 1.
    dust : int
        Number of dark specks that stay where they are when the stage moves.
    hot_pixels : int
        Number of pixels that are always bright.
    gamma : float
        Exponent of the response.
    saturated : float
        Share of pixels brighter than the brightest number.
    used : tuple of float
        Part of the range of numbers that the movie fills.
    """

    photons: float = 300.0
    read_noise: float = 0.02
    offset: float = 0.05
    noise_blur: float = 0.0
    unevenness: float = 0.2
    bleaching: float = 0.0
    haze: float = 0.0
    dust: int = 0
    hot_pixels: int = 0
    gamma: float = 1.0
    saturated: float = 0.0005
    used: tuple[float, float] = (0.03, 0.92)


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to a movie frame by frame.

    Attributes
    ----------
    path : numpy.ndarray
        (T, 2) int64, displacement y, x of the picture in pixels, at least 0.
    blur : numpy.ndarray
        (T,) standard deviation in pixels of the blur of a frame that is out of focus.
    gain : numpy.ndarray
        (T,) brightness of the lamp.
    faults : dict of int to str
        Frames that were missed, and how.
    """

    path: IntArray
    blur: NDArray[np.float64]
    gain: NDArray[np.float64]
    faults: dict[int, Fault] = field(default_factory=dict)

    @property
    def margin(self) -> tuple[int, int]:
        """Pixels by which a scene must be larger than the frame, y, x."""
        most = self.path.max(axis=0)
        return int(most[0]), int(most[1])


def steady_course(frames: int) -> Course:
    """Return the course of a movie to which nothing happens."""
    return Course(np.zeros((frames, 2), np.int64), np.zeros(frames), np.ones(frames))


def random_camera(rng: np.random.Generator, light: Light) -> Camera:
    """Draw a camera that is plausible for a kind of light."""
    dim = light == "fluorescence"
    # Transmitted light is plentiful, and its contrast is low.
    photons = np.exp(rng.uniform(*np.log((12, 2500) if dim else (300, 20_000))))
    narrow = rng.random() < 0.25
    low = rng.uniform(0, 0.5) if narrow else rng.uniform(0, 0.08)
    return Camera(
        photons=float(photons),
        read_noise=float(np.exp(rng.uniform(*np.log((0.003, 0.09 if dim else 0.02))))),
        offset=float(rng.uniform(0, 0.08)),
        noise_blur=float(rng.choice([0, 0, 0, rng.uniform(0.4, 0.9)])),
        unevenness=float(rng.uniform(0, 0.5 if dim else 0.12)),
        bleaching=_sometimes(rng, 0.07) if dim else 0.0,
        haze=_sometimes(rng, 0.12 if dim else 0.03),
        dust=int(_sometimes(rng, 3 if dim else 7)),
        hot_pixels=int(_sometimes(rng, 25)),
        gamma=float(np.exp(rng.normal(0, 0.2))) if rng.random() < 0.4 else 1.0,
        saturated=float(rng.choice([0.0003, 0.0003, rng.uniform(0, 0.02)])),
        used=(float(low), float(low + rng.uniform(0.12, 0.4)) if narrow else 0.97),
    )


def random_course(rng: np.random.Generator, frames: int, light: Light) -> Course:
    """Draw drift, jitter, jumps of the stage, loss of focus, flicker and missed frames."""
    drift = rng.normal(0, 0.7, 2) * (rng.random() < 0.5)
    steps = drift + rng.normal(0, _sometimes(rng, 1.2), (frames, 2))
    if frames > 2 and rng.random() < 0.1:
        steps[rng.integers(1, frames)] += rng.uniform(-30, 30, 2)
    path = np.rint(np.cumsum(steps, axis=0)).astype(np.int64)
    blur = np.zeros(frames)
    if rng.random() < 0.2:
        at, length = rng.integers(0, frames), rng.integers(1, 4)
        blur[at : at + length] = rng.uniform(0.8, 3.5)
    gain = np.exp(rng.normal(0, _sometimes(rng, 0.12), frames))
    faults: dict[int, Fault] = {}
    if frames > 3 and rng.random() < 0.12:
        names: tuple[Fault, ...] = ("dark", "bright", "repeated")
        share = (0.6, 0.05, 0.35) if light == "fluorescence" else (0.4, 0.25, 0.35)
        for frame in rng.integers(1, frames, int(rng.integers(1, 3))):
            faults[int(frame)] = names[rng.choice(3, p=share)]
    return Course(path - path.min(axis=0), blur, gain, faults)


def film(
    scene: Scene, camera: Camera, course: Course, rng: np.random.Generator, bits: int = 8
) -> tuple[Images, NDArray[np.uint16]]:
    """Take the pictures of a scene.

    Parameters
    ----------
    scene : Scene
        Larger than the frame by the margin of the course.
    camera, course : Camera, Course
        What the microscope is like, and what happens to it.
    rng : numpy.random.Generator
        Source of the noise.
    bits : int
        8 to 16; up to 8 give uint8, more give uint16.

    Returns
    -------
    images : numpy.ndarray
        (T, Y, X) uint8 or uint16.
    labels : numpy.ndarray
        (T, Y, X) uint16; empty on frames that show nothing.

    Raises
    ------
    ValueError
        If ``bits`` is not within 8 to 16.
    """
    if not 8 <= bits <= 16:
        raise ValueError(f"bits is {bits}; a camera has 8 to 16.")
    frames = len(scene.signal)
    margin = course.margin
    shape = (scene.signal.shape[1] - margin[0], scene.signal.shape[2] - margin[1])
    light, haze, hot = _light(rng, shape, camera), _haze(rng, shape, camera), _hot(rng, shape)
    seen = np.empty((frames, *shape), np.float32)
    labels = np.empty((frames, *shape), np.uint16)
    for index in range(frames):
        y, x = margin - course.path[index]
        window = (index, slice(y, y + shape[0]), slice(x, x + shape[1]))
        labels[index] = scene.labels[window]
        bright = course.gain[index] * np.exp(-camera.bleaching * index)
        picture = (scene.signal[window] + haze) * (light * np.float32(bright))
        if course.blur[index] > 0:
            picture = ndimage.gaussian_filter(picture, course.blur[index], truncate=3)
        seen[index] = _expose(picture, camera, rng)
    seen[:, hot[0][: camera.hot_pixels], hot[1][: camera.hot_pixels]] += hot[2][: camera.hot_pixels]
    shown = [index for index in range(frames) if index not in course.faults]
    images = _digitise(seen, camera, bits, seen[shown] if shown else seen)
    _spoil(images, labels, course.faults, rng)
    return images, labels


def _light(rng: np.random.Generator, shape: tuple[int, int], camera: Camera) -> FloatArray:
    """Brightness of the lamp over the field, with the shadows of dust, (Y, X)."""
    height, width = shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - np.float32(rng.uniform(-1, 1))
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] - np.float32(rng.uniform(-1, 1))
    light = 1 - np.float32(camera.unevenness) * np.minimum((y * y + x * x) / 2, 1.5)
    rows, columns = np.ogrid[:height, :width]
    for _ in range(camera.dust):
        away = np.hypot(rows - rng.uniform(0, height), columns - rng.uniform(0, width))
        size, depth = rng.uniform(1.5, 9), rng.uniform(0.03, 0.25)
        ring = np.exp(-(((away - size) / (0.4 * size)) ** 2)) if rng.random() < 0.4 else 0
        light *= (1 - depth * (np.exp(-((away / size) ** 2)) - 0.4 * ring)).astype(np.float32)
    return np.asarray(light, np.float32)


def _haze(rng: np.random.Generator, shape: tuple[int, int], camera: Camera) -> FloatArray:
    if camera.haze == 0:
        return np.zeros(shape, np.float32)
    cloud = smooth_noise(rng, shape, float(rng.uniform(0.06, 0.25)) * min(shape))
    return np.asarray(np.float32(camera.haze) * np.maximum(cloud + 0.3, 0), np.float32)


def _hot(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[IntArray, IntArray, FloatArray]:
    most = 64
    strength = rng.uniform(0.2, 1.2, most).astype(np.float32)
    return rng.integers(0, shape[0], most), rng.integers(0, shape[1], most), strength


def _expose(picture: FloatArray, camera: Camera, rng: np.random.Generator) -> FloatArray:
    counts = np.maximum(picture + np.float32(camera.offset), 0) * np.float32(camera.photons)
    if camera.photons < 60:
        counts = rng.poisson(counts).astype(np.float32)
    else:
        counts += np.sqrt(counts) * rng.standard_normal(counts.shape, dtype=np.float32)
    seen = counts / np.float32(camera.photons)
    seen += np.float32(camera.read_noise) * rng.standard_normal(seen.shape, dtype=np.float32)
    if camera.noise_blur > 0:
        seen = ndimage.gaussian_filter(seen, camera.noise_blur, truncate=3)
    return np.asarray(seen, np.float32)


def _digitise(seen: FloatArray, camera: Camera, bits: int, shown: FloatArray) -> Images:
    sampled = shown[:, ::3, ::3]
    low = float(np.percentile(sampled, 0.05))
    high = float(np.percentile(sampled, 100 * (1 - camera.saturated)))
    share = np.maximum((seen - low) / np.float32(max(high - low, 1e-6)), 0)
    if camera.gamma != 1:
        share = share ** np.float32(camera.gamma)
    top = float(2**bits - 1)
    bottom, span = camera.used[0] * top, (camera.used[1] - camera.used[0]) * top
    # What saturates does so at the end of the used part when that is narrow: a cut in software.
    most = top if camera.used[1] > 0.9 else bottom + span
    numbers = np.clip(np.rint(share * np.float32(span) + np.float32(bottom)), 0, most)
    return numbers.astype(np.uint8 if bits == 8 else np.uint16)


def _spoil(
    images: Images, labels: NDArray[np.uint16], faults: dict[int, Fault], rng: np.random.Generator
) -> None:
    """Put missed frames in: nothing is to be seen on them, so nothing is annotated."""
    most = int(images.max())
    least = int(images.min())
    for frame, fault in sorted(faults.items()):
        if fault == "repeated":
            images[frame], labels[frame] = images[frame - 1], labels[frame - 1]
            continue
        level = least + 0.02 * (most - least) if fault == "dark" else 0.97 * most
        noise = rng.standard_normal(images.shape[1:], dtype=np.float32)
        noise *= np.float32(0.012 * (most - least))
        images[frame] = np.clip(np.rint(level + noise), 0, most).astype(images.dtype)
        labels[frame] = 0


def _sometimes(rng: np.random.Generator, most: float) -> float:
    """Draw 0 in half of the cases, else uniformly up to ``most``."""
    return float(rng.uniform(0, most)) * float(rng.random() < 0.5)
