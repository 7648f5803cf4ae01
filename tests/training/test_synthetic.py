"""Synthetic movies: what the truth says is what the picture shows."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells, random_movie
from napari_sam2.training.synthetic.files import MovieFiles, track_table
from napari_sam2.training.synthetic.limbs import Limbs, limbed_patch
from napari_sam2.training.synthetic.mitosis import PLATES, Mitosis, Way, random_mitosis
from napari_sam2.training.synthetic.movie import KINDS
from napari_sam2.training.synthetic.painter import Optics, Painter
from napari_sam2.training.synthetic.population import Habit, Population
from napari_sam2.training.synthetic.shapes import Body, outline_radii, patch_of

SEEDS = range(3)


@cache
def _movie(kind: str, seed: int) -> SyntheticMovie:
    return random_movie(seed, 7, (128, 144), kind)


def _ids(movie: SyntheticMovie) -> list[set[int]]:
    return [set(np.unique(labels).tolist()) - {0} for labels in movie.labels]


def _touching(labels: np.ndarray) -> bool:
    """Whether two objects share a border."""
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        if ((one != other) & (one > 0) & (other > 0)).any():
            return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_movie_and_another_seed_another(kind: str) -> None:
    again = random_movie(0, 7, (128, 144), kind)
    np.testing.assert_array_equal(_movie(kind, 0).images, again.images)
    np.testing.assert_array_equal(_movie(kind, 0).labels, again.labels)
    assert _movie(kind, 0).lineage == again.lineage
    assert (_movie(kind, 0).images != _movie(kind, 1).images).mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_have_the_promised_shape_and_ids(kind: str) -> None:
    for seed in SEEDS:
        movie = _movie(kind, seed)
        assert movie.images.shape == movie.labels.shape == (7, 128, 144)
        assert movie.images.dtype == np.uint8
        assert movie.labels.dtype == np.uint16
        assert movie.kind == kind
        ids = np.unique(movie.labels[movie.labels > 0])
        np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
        assert len(ids) > 0
        assert np.ptp(movie.images) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_objects_leave_enter_and_touch(kind: str) -> None:
    pairs = [pair for s in SEEDS for pair in itertools.pairwise(_ids(_movie(kind, s)))]
    assert sum(len(before - after) for before, after in pairs) >= 3
    assert sum(len(after - before) for before, after in pairs) >= 3
    frames = [labels for seed in SEEDS for labels in _movie(kind, seed).labels]
    assert sum(map(_touching, frames)) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_daughters_begin_after_their_mother_has_ended(kind: str) -> None:
    for seed in SEEDS:
        movie = _movie(kind, seed)
        rows = {row[0]: row for row in track_table(movie)}
        assert set(rows) == set(range(1, int(movie.labels.max()) + 1))
        for child, mother in movie.lineage.items():
            assert rows[child][1] > rows[mother][2]
            assert rows[child][3] == mother


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sheet"])
def test_objects_differ_from_what_surrounds_them(kind: str) -> None:
    """Crossing the edge of an object changes the picture more than a step elsewhere does."""
    ratios = []
    for seed in SEEDS:
        movie = _movie(kind, seed)
        for image, labels in zip(movie.images[::3].astype(float), movie.labels[::3], strict=True):
            steep = ndimage.gaussian_gradient_magnitude(image, 1.2)
            edge = ndimage.grey_dilation(labels, 3) != ndimage.grey_erosion(labels, 3)
            near = ndimage.binary_dilation(edge, iterations=2)
            if edge.any() and not near.all():
                ratios.append(steep[near].mean() / np.median(steep[~near]))
    assert np.median(ratios) > 1.15


def test_shares_leave_no_kind_out() -> None:
    shares = np.array([kind.share for kind in KINDS.values()])
    assert shares.sum() == pytest.approx(1)
    assert shares.min() >= 0.05
    assert 0.25 < KINDS["nuclei"].share < 0.4


def test_kinds_are_drawn_by_chance() -> None:
    drawn = {random_movie(seed, 1, (48, 48)).kind for seed in range(25)}
    assert len(drawn) >= 6


@pytest.mark.parametrize("kind", KINDS)
def test_rendering_is_cheap(kind: str) -> None:
    start = time.process_time()
    random_movie(7, 3, (288, 288), kind)
    # 0.02 to 0.06 s a frame of work; the limit leaves room for a slow machine.
    assert (time.process_time() - start) / 3 < 0.5


def test_division_ends_the_mother_and_starts_two_daughters() -> None:
    movie = dividing_cells(frames=30, seed=0)
    rows = {row[0]: row for row in track_table(movie)}
    mothers = sorted(set(movie.lineage.values()))
    assert len(mothers) >= 2
    for mother in mothers:
        daughters = [child for child, parent in movie.lineage.items() if parent == mother]
        assert len(daughters) == 2
        for daughter in daughters:
            assert rows[daughter][1] == rows[mother][2] + 1


def test_daughters_are_born_beside_their_mother() -> None:
    movie = dividing_cells(frames=30, seed=3)
    rows = {row[0]: row for row in track_table(movie)}
    for child, mother in movie.lineage.items():
        before = ndimage.binary_dilation(movie.labels[rows[mother][2]] == mother, iterations=8)
        assert before[movie.labels[rows[child][1]] == child].mean() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_nuclei_are_brighter_than_what_surrounds_them(seed: int) -> None:
    movie = dividing_cells(frames=4, seed=seed)
    for image, labels in zip(movie.images.astype(float), movie.labels, strict=True):
        background = image[ndimage.binary_dilation(labels > 0, iterations=8) == 0]
        for number in np.unique(labels[labels > 0]):
            inside = image[ndimage.binary_erosion(labels == number, iterations=2)]
            if inside.size > 20:
                assert inside.mean() > background.mean() + 3 * background.std()


def _border_over_middle(kind: str, seed: int) -> float:
    """Brightness of the borders between cells, relative to what lies deeper in them."""
    movie = random_movie(seed, 2, (160, 160), kind)
    labels, image = movie.labels[0], movie.images[0].astype(float)
    border = (ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)) & (labels > 0)
    deep = ndimage.distance_transform_edt(~border) > 5
    return float(image[border].mean() / image[deep & (labels > 0)].mean())


def test_borders_of_sheets_are_dark_and_membranes_bright() -> None:
    assert np.median([_border_over_middle("membranes", seed) for seed in (100, 101, 102)]) > 1.2
    assert np.median([_border_over_middle("sheet", seed) for seed in (100, 101, 102)]) < 0.9


def _seen(habit: Habit, frames: int) -> list[set[int]]:
    rng = np.random.default_rng(1)
    population = Population(rng, (96, 96), habit)
    painter = Painter(rng, (96, 96), Optics())
    seen = []
    for _ in range(frames):
        seen.append(set(np.unique(painter.frame(population.bodies())[1]).tolist()) - {0})
        population.step()
    return seen


def test_cells_enter_and_leave_the_frame() -> None:
    seen = _seen(Habit(diameter=20, speed=0.4, persistence=0.95, fill=0.4), 15)
    assert seen[0] - seen[-1]
    assert seen[-1] - seen[0]


def test_a_stream_of_cells_does_not_run_dry() -> None:
    seen = _seen(Habit(diameter=20, speed=0.02, flow=(0.5, 0.0), fill=0.4), 40)
    assert not seen[0] & seen[-1]
    assert len(seen[-1]) >= 2


def test_cells_that_lose_focus_come_back_with_their_id() -> None:
    seen = _seen(Habit(diameter=20, speed=0.0, fill=0.5, defocus_rate=0.1), 30)
    back = {
        number
        for number in set.union(*seen)
        for presence in ["".join("1" if number in frame else "0" for frame in seen).strip("0")]
        if "0" in presence
    }
    assert len(back) >= 2


def test_cells_that_die_end_and_their_pieces_are_not_annotated() -> None:
    habit = Habit(diameter=30, speed=0.0, fill=0.4, death_rate=0.3, fragments=1.0)
    population = Population(np.random.default_rng(2), (128, 128), habit)
    for _ in range(8):
        population.step()
    pieces = [body for body in population.bodies() if body.label == 0]
    assert pieces
    painter = Painter(np.random.default_rng(0), (128, 128), Optics(background=0.0))
    piece = pieces[0]
    piece.y, piece.x = 64.0, 64.0
    image, labels = painter.frame([piece])
    assert image[64, 64] > 0.1
    assert not labels.any()


def _division(mitosis: Mitosis) -> tuple[Population, list[Body], list[Body]]:
    """Let one cell divide: the population, the mothers as they were last, and all bodies after."""
    habit = Habit(diameter=30, speed=0.0, fill=0.05, mitosis=mitosis, overlap=0.0)
    population = Population(np.random.default_rng(0), (128, 128), habit)
    population.schedule_division(1, 1)
    before: list[Body] = []
    while not population.lineage:
        before = population.bodies()
        population.step()
    after = population.bodies()
    mothers = [b for b in before if b.label in population.lineage.values()]
    return population, mothers, [b for b in after if b.label in population.lineage]


def _apart(daughters: list[Body]) -> np.ndarray:
    one, other = daughters
    return np.array([other.y - one.y, other.x - one.x])


def test_nuclei_divide_as_two_plates_that_part() -> None:
    population, (mother,), daughters = _division(PLATES)
    assert mother.elongation > 2
    apart = _apart(daughters)
    plate = np.array([np.sin(mother.angle), np.cos(mother.angle)])
    assert abs(apart @ plate) < 0.5 * np.hypot(*apart)
    for _ in range(4):
        population.step()
    later = [b for b in population.bodies() if b.label in population.lineage]
    assert np.hypot(*_apart(later)) > np.hypot(*apart)


def test_nuclei_that_pinch_have_a_waist_and_part_along_their_length() -> None:
    way = Mitosis("pinch", goal=1.8, born=1.05, gain=0.0, parting=0.7, tilt=0.1)
    _, (mother,), daughters = _division(way)
    radii = outline_radii(mother)
    quarter = len(radii) // 4  # at angle -pi/2, across the length
    assert radii[quarter] < 0.75 * radii[0]
    length = np.array([np.sin(mother.angle), np.cos(mother.angle)])
    apart = _apart(daughters)
    assert abs(apart @ length) > 0.9 * np.hypot(*apart)
    assert all(not body.waist for body in daughters)


def test_chromosomes_gather_and_part_in_a_cell_that_is_still_one() -> None:
    way = Mitosis("veiled", before=5, parted=2, tied=1, gain=1.5, veil=0.3, born=1.1, parting=0.7)
    habit = Habit(diameter=40, speed=0.0, turning=0.0, fill=0.02, mitosis=way, fading=0.0)
    population = Population(np.random.default_rng(0), (128, 128), habit)
    (cell,) = population._cells[:1]
    cell.divides_in, label = way.before, cell.body.label
    painter = Painter(np.random.default_rng(0), (128, 128), Optics(texture=0.0, background=0.0))
    stages = []
    for _ in range(way.before):
        population.step()
        (body,) = (b for b in population.bodies() if b.label == label)
        image, labels = painter.frame([body])
        stages.append((body, image, int((labels == label).sum())))
    areas = [area for _, _, area in stages]
    assert min(areas) > 0.6 * max(areas), "the mask is of the whole cell throughout"
    spread = [float(np.abs(body.holes[:, 0]).mean()) for body, _, _ in stages]
    assert spread[1] < spread[0], "a plate"
    assert spread[2] < spread[3] < spread[4], "two that part"
    assert [body.waist > 0 for body, _, _ in stages] == [False] * 4 + [True]
    body, image, _ = stages[3]
    bright = image.max()
    assert image[round(body.y), round(body.x)] < 0.6 * bright, "dim between both"
    population.step()
    assert list(population.lineage.values()) == [label, label]


def test_a_division_between_two_frames_shows_no_stage_of_it() -> None:
    _, (mother,), daughters = _division(replace(PLATES, before=0, condensed=0.0, parting=1.2))
    assert mother.condensed == 0
    assert [body.condensed for body in daughters] == [0, 0]
    assert np.hypot(*_apart(daughters)) > 2 * mother.radius


def test_movies_divide_in_every_way() -> None:
    rng = np.random.default_rng(0)
    shares: dict[Way, float] = {"plate": 1, "round": 1, "pinch": 1, "veiled": 1}
    drawn = [random_mitosis(rng, shares) for _ in range(400)]
    assert {one.way for one in drawn} == set(shares)
    assert {one.before for one in drawn} == set(range(7))
    assert {(one.parted, one.tied) for one in drawn if one.way == "veiled"} > {(0, 0), (2, 1)}
    far = [one.parting for one in drawn if one.way == "plate"]
    assert min(far) < 0.4
    assert max(far) > 1.2


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
    images, labels = [], []
    for focus in (1.0, 0.1):
        painter = Painter(np.random.default_rng(0), (64, 64), Optics())
        image, label = painter.frame([Body(3, 32, 32, 12, focus=focus)])
        images.append(image)
        labels.append(label)
    assert images[1][32, 32] < 0.6 * images[0][32, 32]
    assert (labels[0] == 3).sum() == pytest.approx(np.pi * 12**2, rel=0.05)
    assert not labels[1].any()


def test_labels_are_the_drawn_body() -> None:
    optics = Optics(psf=0.0, background=0.0, texture=0.0, edge=0.4, dim_border=1.0)
    painter = Painter(np.random.default_rng(0), (64, 64), optics)
    image, labels = painter.frame([Body(1, 30, 33, 14, elongation=1.6, angle=0.7)])
    np.testing.assert_array_equal(labels > 0, image > 0.5)


def test_nucleoli_are_dark() -> None:
    holes = np.array([[0.3, 0.0, 0.2, 0.8]])
    painter = Painter(np.random.default_rng(0), (64, 64), Optics(texture=0.0))
    image, labels = painter.frame([Body(1, 32, 32, 20, holes=holes)])
    assert image[32, 38] < 0.6 * image[32, 26]
    assert labels[32, 38] == 1


def test_hidden_cell_is_not_annotated() -> None:
    painter = Painter(np.random.default_rng(0), (64, 64), Optics())
    behind, front = Body(1, 32, 32, 8, depth=0.0), Body(2, 32, 33, 12, depth=1.0)
    assert set(np.unique(painter.frame([behind, front])[1])) == {0, 2}


def test_arms_reach_out_of_a_body_and_are_drawn_in_for_division() -> None:
    arms = Limbs(np.array([[0.0, 2.0, 0.3, 0.1, 0.0]]))
    lengths = []
    for calm in (0.0, 1.0):
        patch = limbed_patch(Body(1, 60, 60, 12, calm=calm), arms, (120, 120), 2)
        assert patch is not None
        lengths.append(float(patch.u[patch.level > 0].max()))
    assert lengths[0] == pytest.approx(12 * 0.8 + 24, abs=2)
    assert lengths[1] == pytest.approx(12, abs=1)


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
    for make in (dividing_cells, lambda f, s: random_movie(0, f, s)):
        with pytest.raises(ValueError, match=said):
            make(frames, shape)


def test_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'blobs'; choose one of nuclei, .*organelles"):
        random_movie(0, 1, (64, 64), "blobs")


def test_movie_of_one_frame_and_small_type() -> None:
    movie = dividing_cells(1, (64, 96), dtype=np.uint8)
    assert movie.images.shape == (1, 64, 96)
    assert movie.images.dtype == np.uint8


def test_files_hold_the_movie_and_are_not_replaced(tmp_path) -> None:
    tifffile = pytest.importorskip("tifffile")
    movie = random_movie(2, 4, (64, 80), "nuclei", bits=12)
    files = MovieFiles(tmp_path / "new" / "cells.tif")
    files.write(movie)
    np.testing.assert_array_equal(tifffile.imread(files.movie), movie.images)
    np.testing.assert_array_equal(tifffile.imread(files.labels), movie.labels)
    rows = [tuple(map(int, line.split())) for line in files.tracks.read_text().splitlines()]
    assert rows == track_table(movie)
    files.movie.unlink()
    with pytest.raises(FileExistsError, match="cells_labels"):
        files.write(movie)
    assert not files.movie.exists()
    with pytest.raises(ValueError, match=r"cells\.png"):
        MovieFiles(tmp_path / "cells.png")


def test_generator_needs_no_torch() -> None:
    code = "import sys, napari_sam2.training.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
