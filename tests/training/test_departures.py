"""Objects that vanish: clips that show it, and stills from which one is painted out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from napari_sam2.training.clip_sampling import cut_clip
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.departures import choose_leaver
from napari_sam2.training.vanishing import vanish


def discs(lives: dict[int, Iterable[int]], frames: int = 12) -> LabelledMovie:
    """Discs side by side, each on the frames of its life."""
    labels = np.zeros((frames, 96, 96 * len(lives)), np.uint8)
    yy, xx = np.mgrid[:96, :96]
    disc = (yy - 48) ** 2 + (xx - 48) ** 2 < 14**2
    for place, (number, life) in enumerate(lives.items()):
        for frame in life:
            labels[frame, :, 96 * place : 96 * (place + 1)][disc] = number
    return LabelledMovie("discs", np.where(labels > 0, 200, 20).astype(np.uint8), labels)


@pytest.mark.parametrize("num_frames", [2, 4, 8])
def test_a_leaver_is_on_the_first_frame_and_gone_later(num_frames: int) -> None:
    movie = discs({3: range(12), 5: range(6), 7: range(7, 12), 9: [*range(4), *range(8, 12)]})
    found = set()
    for seed in range(60):
        leaver = choose_leaver(movie, num_frames, 12, np.random.default_rng(seed))
        if leaver is None:
            continue
        seen = (movie.labels[leaver.frames] == leaver.number).any((1, 2))
        assert len(leaver.frames) == num_frames
        assert seen[0]
        assert not seen.all()
        steps = np.diff(leaver.frames)
        assert set(np.abs(steps)) <= {1, 2}
        assert len(set(steps)) == 1
        found.add((leaver.number, bool(steps[0] > 0)))
    # Those that end, seen forwards; those that begin, seen backwards; the hidden one both ways.
    assert {(5, True), (7, False), (9, True), (9, False)} == found


def test_a_movie_in_which_everything_stays_has_no_leaver() -> None:
    movie = discs({1: range(6), 2: range(6)}, frames=6)
    assert choose_leaver(movie, 3, 12, np.random.default_rng(0)) is None


def test_ids_that_may_not_be_chosen_never_leave() -> None:
    movie = discs({3: range(12), 5: range(6)})
    movie.eligible = frozenset({3})
    assert choose_leaver(movie, 3, 12, np.random.default_rng(0)) is None


def test_many_clips_of_a_movie_show_a_departure() -> None:
    movie = discs({n: range(12) for n in range(1, 8)} | {9: range(6)})
    gone = 0
    for seed in range(40):
        cut = cut_clip(movie, np.random.default_rng(seed), 4, 1)
        assert cut is not None
        gone += bool((~cut[1].flatten(2).any(2)).any())
    # One object of eight would be the first of about five clips.
    assert gone >= 10


def _textured(count: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(50, 4, (5, 3, 128, 128)).astype(np.float32))
    images += torch.linspace(0, 40, 128)  # light that rises from left to right
    masks = torch.zeros(5, count, 128, 128, dtype=torch.bool)
    masks[:, :, 50:78, 30:58] = True
    images = torch.where(masks[:, :1], images + 120, images)
    return images, masks, ~masks.any(1, keepdim=True)


def test_a_painted_place_looks_like_its_surroundings() -> None:
    images, masks, background = _textured(2)
    after, left = vanish(images, masks, background, np.random.default_rng(2))
    gone = ~left[:, 0].flatten(1).any(1)
    assert gone.any()
    assert not gone[0]
    # Both rows are of the same object.
    assert torch.equal(left[:, 0], left[:, 1])
    place = masks[0, 0]
    expected = images[0, 0, :, 30:58][90:].mean()
    for frame in range(5):
        if gone[frame]:
            assert float(after[frame, 0][place].mean() - expected) == pytest.approx(0, abs=6)
            assert float(after[frame, 0][place].std()) > 2  # the noise is there as well
            far = ~torch.nn.functional.max_pool2d(place[None].float(), 31, 1, 15)[0].bool()
            assert torch.equal(after[frame, :, far], images[frame, :, far])
        else:
            assert torch.equal(after[frame], images[frame])


def test_nothing_is_painted_where_no_background_is_near() -> None:
    images, masks, _ = _textured()
    full = torch.zeros(5, 1, 128, 128, dtype=torch.bool)
    after, left = vanish(images, masks, full, np.random.default_rng(0))
    assert torch.equal(after, images)
    assert torch.equal(left, masks)
