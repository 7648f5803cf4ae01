"""Synthetic movies: what the truth says is what the picture shows."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells, random_movie
from napari_sam2.training.synthetic.movie import KINDS
from napari_sam2.training.synthetic.optics import Optics, Painter
from napari_sam2.training.synthetic.population import Habit, Population
from napari_sam2.training.synthetic.shapes import Body, patch_of


def _first_and_last(movie: SyntheticMovie) -> dict[int, tuple[int, int]]:
    life: dict[int, tuple[int, int]] = {}
    for frame, labels in enumerate(movie.labels):
        for number in np.unique(labels[labels > 0]):
            life[int(number)] = (life.get(int(number), (frame, 0))[0], frame)
    return life


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_movie_and_another_seed_another(kind: str) -> None:
    first, again, other = (random_movie(s, 3, (96, 96), kind) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.lineage == again.lineage
    assert (first.images != other.images).mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_have_the_promised_shape_and_ids(kind: str) -> None:
    movie = random_movie(11, 4, (128, 160), kind)
    assert movie.images.shape == movie.labels.shape == (4, 128, 160)
    assert movie.images.dtype == np.uint8
    assert movie.labels.dtype == np.uint16
    assert movie.kind == kind
    ids = np.unique(movie.labels)
    np.testing.assert_array_equal(ids, np.arange(len(ids)))
    assert len(ids) > 1
    assert np.ptp(movie.images) > 60


def test_division_ends_the_mother_and_starts_two_daughters() -> None:
    movie = dividing_cells(frames=30, seed=0)
    life = _first_and_last(movie)
    mothers = sorted(set(movie.lineage.values()))
    assert len(mothers) >= 2
    for mother in mothers:
        daughters = [child for child, parent in movie.lineage.items() if parent == mother]
        assert len(daughters) == 2
        for daughter in daughters:
            assert life[daughter][0] == life[mother][1] + 1


def test_daughters_are_born_beside_their_mother() -> None:
    movie = dividing_cells(frames=30, seed=3)
    life = _first_and_last(movie)
    for child, mother in movie.lineage.items():
        before = ndimage.binary_dilation(movie.labels[life[mother][1]] == mother, iterations=6)
        assert before[movie.labels[life[child][0]] == child].mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_nuclei_are_brighter_than_what_surrounds_them(seed: int) -> None:
    movie = dividing_cells(frames=4, seed=seed)
    for image, labels in zip(movie.images.astype(float), movie.labels, strict=True):
        background = image[ndimage.binary_dilation(labels > 0, iterations=8) == 0]
        for number in np.unique(labels[labels > 0]):
            inside = image[ndimage.binary_erosion(labels == number, iterations=2)]
            if inside.size > 20:
                assert inside.mean() > background.mean() + 3 * background.std()


def test_membranes_lie_on_the_borders_of_cells() -> None:
    movie = random_movie(100, 2, (160, 160), "membranes")
    labels, image = movie.labels[0], movie.images[0].astype(float)
    border = (ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)) & (labels > 0)
    deep = ndimage.distance_transform_edt(~border) > 5
    assert image[border].mean() > 1.2 * image[deep & (labels > 0)].mean()


def test_cells_enter_and_leave_the_frame() -> None:
    habit = Habit(diameter=20, speed=0.4, persistence=0.95, fill=0.4)
    population = Population(np.random.default_rng(1), (96, 96), habit)
    painter = Painter(np.random.default_rng(1), (96, 96), "nuclei", Optics())
    seen = []
    for _ in range(15):
        seen.append(set(np.unique(painter.frame(population.bodies())[1]).tolist()) - {0})
        population.step()
    assert seen[0] - seen[-1]
    assert seen[-1] - seen[0]


def test_cells_that_touch_do_not_pile_up() -> None:
    habit = Habit(diameter=24, overlap=0.0, fill=0.35, clustering=0.5)
    population = Population(np.random.default_rng(0), (192, 192), habit)
    cover = np.zeros((192, 192))
    for body in population.bodies():
        patch = patch_of(body, (192, 192), 1, rod=False)
        if patch is not None:
            cover[patch.window] += patch.level > 0
    assert (cover > 1).sum() < 0.08 * (cover > 0).sum()


def test_cell_out_of_focus_is_dim_and_not_annotated() -> None:
    optics = Optics()
    images, labels = [], []
    for focus in (1.0, 0.1):
        painter = Painter(np.random.default_rng(0), (64, 64), "nuclei", optics)
        image, label = painter.frame([Body(3, 32, 32, 12, focus=focus)])
        images.append(image)
        labels.append(label)
    assert images[1][32, 32] < 0.6 * images[0][32, 32]
    assert (labels[0] == 3).sum() == pytest.approx(np.pi * 12**2, rel=0.05)
    assert not labels[1].any()


def test_hidden_cell_is_not_annotated() -> None:
    painter = Painter(np.random.default_rng(0), (64, 64), "nuclei", Optics())
    behind, front = Body(1, 32, 32, 8, depth=0.0), Body(2, 32, 33, 12, depth=1.0)
    assert set(np.unique(painter.frame([behind, front])[1])) == {0, 2}


def test_rod_is_as_long_and_wide_as_its_ellipse() -> None:
    patch = patch_of(Body(1, 60, 60, 14, elongation=5.0, angle=0.4), (120, 120), 2, rod=True)
    assert patch is not None
    inside = patch.level > 0
    assert np.ptp(patch.u[inside]) == pytest.approx(2 * 14 * 5**0.5, abs=1.5)
    assert np.ptp(patch.v[inside]) == pytest.approx(2 * 14 / 5**0.5, abs=1.5)


@pytest.mark.parametrize(
    ("frames", "shape", "said"), [(0, (64, 64), "frames is 0"), (2, (16, 64), r"\(16, 64\)")]
)
def test_impossible_sizes_are_refused(frames: int, shape: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dividing_cells(frames, shape)


def test_movie_of_one_frame_and_small_type() -> None:
    movie = dividing_cells(1, (64, 96), dtype=np.uint8)
    assert movie.images.shape == (1, 64, 96)
    assert movie.images.dtype == np.uint8


def test_generator_needs_no_torch() -> None:
    code = "import sys, napari_sam2.training.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_clip_of_a_dozen_cells_renders_quickly() -> None:
    start = time.process_time()
    for seed in range(4):
        dividing_cells(8, seed=seed)
    # About 0.1 s of work each; the limit leaves room for a slow machine.
    assert (time.process_time() - start) / 4 < 1.0
