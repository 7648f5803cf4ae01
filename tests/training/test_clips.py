"""Clips: aligned, deterministic, with objects that are where the picture shows them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_sam2.training import augment, clip_sampling
from napari_sam2.training.clip_sampling import SMALLEST_AREA, cut_clip
from napari_sam2.training.clip_sources import StoredMovies, SyntheticMovies
from napari_sam2.training.clips import ClipBatch, ClipSource, clip_batches, default_sources
from napari_sam2.training.convention import move_contours
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.synthetic import random_movie
from napari_sam2.training.vanishing import vanish


def _discs(frames: int = 1, side: int = 200, seed: int = 0) -> LabelledMovie:
    """Discs that never touch, drifting by a pixel a frame, of intensity `_level` on 0."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((frames, side, side), np.uint16)
    yy, xx = np.mgrid[:side, :side]
    centres = itertools.product(range(35, side - 50, 50), repeat=2)
    for number, (y, x) in enumerate(centres, start=1):
        radius = rng.uniform(10, 20)
        for frame in range(frames):
            labels[frame][(yy - y - frame) ** 2 + (xx - x) ** 2 < radius**2] = number
    images = np.where(labels > 0, _level(labels), 0).astype(np.uint8)
    return LabelledMovie("discs", images, labels)


def _level(number: Any) -> Any:
    return 20 * (number % 6) + 80


@pytest.fixture
def source() -> ClipSource:
    """Stills and movies of discs."""
    return ClipSource("discs", StoredMovies([_discs(), _discs(6, seed=1)]))


@pytest.mark.parametrize(("frames", "objects"), [(1, 1), (2, 3), (5, 4)])
def test_clip_has_the_promised_arrays(source: ClipSource, frames: int, objects: int) -> None:
    for seed in range(10):
        clip = source.sample_clip(np.random.default_rng(seed), frames, objects)
        assert clip.images.shape == (frames, 3, 256, 256)
        assert clip.images.dtype == torch.float32
        assert clip.masks.shape == (frames, objects, 256, 256)
        assert clip.masks.dtype == torch.bool
        assert clip.annotated.all()
        assert 0 <= float(clip.images.min()) <= float(clip.images.max()) <= 1
        assert bool((clip.masks[0].flatten(1).sum(1) >= SMALLEST_AREA).all())
        assert clip.present.shape == (frames, objects)


@pytest.mark.parametrize("movie", [_discs(), _discs(8)], ids=["still", "movie"])
def test_masks_follow_the_picture_through_the_warp(
    movie: LabelledMovie, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the changes of intensity, the value of a pixel says which disc it belongs to.
    monkeypatch.setattr(augment, "normalise", lambda images, rng: images / 255)
    monkeypatch.setattr(augment, "vary_intensity", lambda images, rng: images.expand(-1, 3, -1, -1))
    monkeypatch.setattr(clip_sampling, "draw_move", lambda masks, rng: 0)
    checked = 0
    for seed in range(25):
        cut = cut_clip(movie, np.random.default_rng(seed), 4, 2)
        assert cut is not None
        values, masks = cut[0][:, 0] * 255, cut[1]
        for frame, row in itertools.product(range(4), range(2)):
            mask = masks[frame, row]
            if int(mask.sum()) < 100:
                continue
            level = float(values[frame][mask].median())
            assert 75 < level < 185
            bright, _ = ndimage.label((values[frame] > level / 2).numpy())
            shown = bright == np.bincount(bright[mask.numpy()]).argmax()
            both = (shown & mask.numpy()).sum()
            assert both > 0.93 * (shown | mask.numpy()).sum()
            checked += 1
    assert checked > 60


def test_objects_are_spread_over_the_sizes_asked_for() -> None:
    source = ClipSource("wide", StoredMovies([_discs(side=420)]))
    sizes = []
    for seed in range(150):
        clip = source.sample_clip(np.random.default_rng(seed), 1, 1)
        sizes.append(float(clip.masks.sum()) ** 0.5 * 1.13)
    low, middle, high = np.percentile(sizes, (10, 50, 90))
    assert 15 < low < 38
    assert 30 < middle < 70
    assert 70 < high < 130


def test_some_objects_leave_and_first_frame_has_all() -> None:
    source = ClipSource("stills", StoredMovies([_discs()]))
    absent = 0
    for seed in range(40):
        clip = source.sample_clip(np.random.default_rng(seed), 4, 2)
        assert bool(clip.present[0].all())
        absent += int((~clip.present).any())
    assert 2 <= absent <= 28


def test_vanished_object_is_gone_from_picture_and_mask() -> None:
    movie = _discs()
    images = torch.from_numpy(movie.images[:, None, :, :].astype(np.float32)).repeat(3, 1, 1, 1)
    labels = torch.from_numpy(movie.labels.astype(np.int64))
    masks = torch.stack([labels[0] == 2, labels[0] == 3, labels[0] == 2]).repeat(3, 1, 1, 1)
    background = (labels == 0)[:, None].repeat(3, 1, 1, 1)
    after, left = vanish(images, masks, background, np.random.default_rng(0))
    gone = ~left.flatten(2).any(2)
    assert gone.any()
    assert not gone[0].any()
    assert torch.equal(gone[:, 0], gone[:, 2])
    frame, row = (int(i) for i in torch.nonzero(gone)[0])
    assert float(after[frame, 0][masks[0, row]].mean()) < 20
    assert torch.equal(after[0], images[0])


def test_moved_contours_keep_off_neighbours_and_never_lose_an_object() -> None:
    labels = torch.from_numpy(_discs().labels.astype(np.int64))
    masks = torch.stack([labels == 2, labels == 3], 1)
    background = (labels == 0)[:, None]
    grown = move_contours(masks, background, 3)
    radius = (masks[0, 0].sum() / torch.pi) ** 0.5
    gained = (grown[0, 0].sum() / torch.pi) ** 0.5 - radius
    assert 2.4 < float(gained) < 3.6
    assert not (grown & ~masks & ~background).any()
    assert (masks & ~grown).sum() == 0
    shrunk = move_contours(masks, background, -3)
    assert 2.4 < float(radius - (shrunk[0, 0].sum() / torch.pi) ** 0.5) < 3.6
    assert torch.equal(move_contours(masks, background, -60), masks)


def test_unannotated_bodies_are_never_objects() -> None:
    movie = _discs()
    chosen = LabelledMovie("discs", movie.images, movie.labels, frozenset({2, 3}))
    levels = {_level(number) for number in (2, 3)}
    for seed in range(30):
        cut = cut_clip(chosen, np.random.default_rng(seed), 1, 4)
        assert cut is not None
        # The warp of the images is that of the masks: look up which disc each mask covers.
        plain = _plain_cut(chosen, seed)
        for row in range(4):
            level = float(plain[0][0, 0][plain[1][0, row]].median())
            assert min(abs(level - known) for known in levels) < 2


def _plain_cut(movie: LabelledMovie, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment, "normalise", lambda images, rng: images)
        patch.setattr(augment, "vary_intensity", lambda images, rng: images)
        cut = cut_clip(movie, np.random.default_rng(seed), 1, 4)
    assert cut is not None
    return cut


def test_profile_is_traced_not_the_whole_body() -> None:
    labels = np.zeros((3, 120, 120), np.uint16)
    labels[:, 10:40, 10:40] = labels[:, 80:110, 80:110] = 1  # two profiles that never meet
    movie = LabelledMovie("body", (labels * 200).astype(np.uint8), labels, traced=True)
    for seed in range(20):
        cut = cut_clip(movie, np.random.default_rng(seed), 3, 1)
        assert cut is not None
        solid = cut[1][:, 0].flatten(1).sum(1)
        spread = [_extent(mask) for mask in cut[1][:, 0] if bool(mask.any())]
        # One square of 30 x 30, however it is turned: its box is at most twice as large.
        assert all(box <= 2.6 * float(area) for box, area in zip(spread, solid, strict=False))


def _extent(mask: torch.Tensor) -> float:
    rows, columns = torch.nonzero(mask, as_tuple=True)
    return float((rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1))


def _same(first: ClipBatch, second: ClipBatch) -> bool:
    return (
        torch.equal(first.images, second.images)
        and torch.equal(first.masks, second.masks)
        and first.sources == second.sources
    )


def test_batches_depend_on_seed_and_step_alone(source: ClipSource) -> None:
    def batches(count: int, seed: int = 3, start: int = 0, workers: int = 0) -> list[ClipBatch]:
        stream = clip_batches(
            [source], [1.0], batch=2, num_frames=2, num_objects=2,
            seed=seed, start_step=start, workers=workers,
        )  # fmt: skip
        return list(itertools.islice(stream, count))

    whole = batches(4)
    assert whole[0].images.shape == (2, 2, 3, 256, 256)
    assert whole[0].masks.shape == (2, 2, 2, 256, 256)
    assert all(map(_same, batches(2, start=2), whole[2:]))
    assert all(map(_same, batches(4, workers=1), whole))
    assert not _same(whole[0], whole[1])
    assert not _same(whole[0], batches(1, seed=4)[0])


def test_sources_are_drawn_by_weight() -> None:
    named = [
        LabelledMovie(name, m.images, m.labels) for name, m in (("a", _discs()), ("b", _discs()))
    ]
    sources = [ClipSource(movie.name, StoredMovies([movie])) for movie in named]
    stream = clip_batches(sources, [3, 1], batch=40, num_frames=1, num_objects=1, seed=0)
    assert 20 <= next(stream).sources.count("a") <= 38


def test_bad_weights_and_empty_sources_are_refused(source: ClipSource) -> None:
    with pytest.raises(ValueError, match="1 sources have 2 weights"):
        clip_batches([source], [1, 1], batch=1, num_frames=1, num_objects=1, seed=0)
    with pytest.raises(ValueError, match="weights"):
        clip_batches([source], [0.0], batch=1, num_frames=1, num_objects=1, seed=0)
    with pytest.raises(ValueError, match="empty"):
        StoredMovies([])
    empty = LabelledMovie("none", np.zeros((1, 64, 64)), np.zeros((1, 64, 64), np.uint16))
    with pytest.raises(RuntimeError, match="no object"):
        ClipSource("none", StoredMovies([empty])).sample_clip(np.random.default_rng(0), 1, 1)


def test_synthetic_movies_are_rendered_once(tmp_path: Path) -> None:
    movies = SyntheticMovies(tmp_path / "cache", count=2, first_seed=40, frames=2)
    first = movies.movie(41)
    (path,) = (tmp_path / "cache").iterdir()
    written = path.stat().st_mtime_ns
    again = movies.movie(41)
    assert path.stat().st_mtime_ns == written
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.labels.max() > 0
    drawn = {movies.draw(np.random.default_rng(seed)).name for seed in range(12)}
    assert drawn == {"synthetic 40", "synthetic 41"}


def test_colour_becomes_three_channels_and_grey_stays_grey() -> None:
    rng = np.random.default_rng(0)
    colour = torch.rand(2, 3, 32, 32)
    kinds = {
        bool((image[:, 0] != image[:, 1]).any())
        for image in (augment.vary_intensity(colour, rng) for _ in range(20))
    }
    assert kinds == {True, False}


@pytest.mark.data
def test_default_sources_give_clips_of_every_set(data_folder: Path, tmp_path: Path) -> None:
    for split, names in (
        ("train", {"dsb2018", "synthetic", "em_fibsem", "embryo3d"}),
        ("validation", {"dsb2018", "synthetic", "em_fibsem"}),
    ):
        sources, weights = default_sources(data_folder, tmp_path, split)  # type: ignore[arg-type]
        assert {source.name for source in sources} == names
        assert len(weights) == len(sources)
        for source in sources:
            clip = source.sample_clip(np.random.default_rng(1), 2, 3)
            assert bool(clip.present[0].all())
            assert float(clip.images.std()) > 0


@pytest.mark.data
def test_a_run_may_draw_its_sources_in_other_shares(data_folder: Path, tmp_path: Path) -> None:
    sources, weights = default_sources(data_folder, tmp_path, shares=(0.1, 0.7, 0.2, 0))
    asked = dict(zip((source.name for source in sources), weights, strict=True))
    assert asked == {"dsb2018": 0.1, "synthetic": 0.7, "em_fibsem": 0.2, "embryo3d": 0}
    with pytest.raises(ValueError, match="3 shares for 4 sources"):
        default_sources(data_folder, tmp_path, shares=(0.1, 0.7, 0.2))


def test_some_clips_are_as_dim_as_most_cells_of_a_movie_beside_its_brightest() -> None:
    rng = np.random.default_rng(0)
    image = torch.linspace(0, 1, 64 * 64).view(1, 1, 64, 64)
    shown = [augment.vary_intensity(image, rng) for _ in range(300)]
    dim = [one for one in shown if one.max() < 0.25]
    assert 0.05 < len(dim) / len(shown) < 0.3
    # All of the object's light lies on few levels, as in eight bits that are hardly used.
    assert any(len(one.unique()) < 40 for one in dim)


def test_the_nuclei_of_one_movie_may_be_ten_times_as_bright_as_others() -> None:
    spreads = []
    for seed in range(40):
        movie = random_movie(seed, 1, kind="nuclei")
        labels, image = movie.labels[0], movie.images[0].astype(float)
        ids = [i for i in np.unique(labels[labels > 0]) if (labels == i).sum() >= 60]
        if len(ids) > 3:
            light = [np.median(image[labels == i]) - np.median(image[labels == 0]) for i in ids]
            spreads.append(max(light) / max(min(light), 1.0))
    assert np.mean(np.array(spreads) > 8) > 0.1
