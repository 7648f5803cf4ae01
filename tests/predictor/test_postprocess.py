"""Holes, specks, overlaps and stability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam2.predictor.postprocess import (
    LOST_LOGIT,
    fill_holes,
    keep_pieces,
    resolve_overlaps,
    stability_score,
)


def from_picture(*rows):
    """Return logits: # inside, . outside."""
    return torch.tensor([[3.0 if c == "#" else -3.0 for c in row] for row in rows])


def to_picture(logits):
    return tuple("".join("#" if v > 0 else "." for v in row) for row in logits.tolist())


RING = (
    "########..",
    "#......#..",
    "#.#..#.###",
    "########.#",
    "#..#####.#",
    "##########",
)


def test_small_holes_are_filled():
    filled = to_picture(fill_holes(from_picture(*RING), 4))
    assert filled == (
        "##########",
        "#......###",
        "#.#..#.###",
        "##########",
        "##########",
        "##########",
    ), "the pocket at the border is a patch of background like any other"


def test_corners_connect_a_hole():
    """Two single pixels that touch at a corner are one hole of two pixels."""
    logits = from_picture("####", "#.##", "##.#", "####")
    assert torch.equal(fill_holes(logits, 1), logits)
    assert to_picture(fill_holes(logits, 2)) == ("####",) * 4


def test_each_mask_of_a_batch_for_itself():
    a = from_picture("###", "#.#", "###")
    b = from_picture("...", "...", "###")
    batch = torch.stack([a, b, a])[:, None]
    filled = fill_holes(batch, 5)
    assert filled.shape == (3, 1, 3, 3)
    assert to_picture(filled[0, 0]) == to_picture(filled[2, 0]) == ("###",) * 3
    assert torch.equal(filled[1, 0], b)
    assert torch.equal(batch[0, 0], a), "the input is left alone"


def test_nothing_to_do_costs_nothing():
    logits = from_picture(*RING)
    assert fill_holes(logits, 0) is logits
    full = torch.ones(2, 1, 5, 5)
    assert fill_holes(full, 3) is full


def test_the_most_certain_object_keeps_the_pixel():
    a = ((0, 0), torch.full((4, 6), 2.0))
    b = ((2, 4), torch.full((4, 6), 3.0))
    c = ((20, 20), torch.full((2, 2), 1.0))
    resolved = resolve_overlaps([a, b, c])
    assert [origin for origin, _ in resolved] == [(0, 0), (2, 4), (20, 20)]
    assert (resolved[0][1] > 0).sum() == 20
    assert (resolved[0][1][2:, 4:] == LOST_LOGIT).all()
    assert (resolved[1][1] > 0).all()
    assert resolved[2][1] is c[1]
    assert (a[1] == 2).all(), "the input is left alone"


def test_of_three_one_wins_everywhere():
    torch.manual_seed(0)
    crops = [((0, 0), torch.randn(8, 8)), ((2, 1), torch.randn(8, 8)), ((1, 2), torch.randn(8, 8))]
    canvas = torch.full((3, 12, 12), -100.0)
    for k, ((y, x), logits) in enumerate(crops):
        canvas[k, y : y + 8, x : x + 8] = logits
    claims = torch.zeros(12, 12, dtype=torch.int)
    for k, ((y, x), logits) in enumerate(resolve_overlaps(crops)):
        mask = logits > 0
        claims[y : y + 8, x : x + 8] += mask
        winner = (canvas.argmax(0) == k) & (canvas[k] > 0)
        assert torch.equal(mask, winner[y : y + 8, x : x + 8])
    assert claims.max() == 1
    assert torch.equal(claims > 0, (canvas > 0).any(0)), "no pixel is lost to nobody"


@pytest.mark.parametrize("spread", [4, 60])
def test_crowds_are_judged_as_pairs_are(spread):
    """Many crops on one another and few that touch are judged in two ways, to the same end."""
    torch.manual_seed(1)
    corners = torch.randint(0, spread, (9, 2)).tolist()
    crops = [((y, x), torch.randn(12, 10).round(decimals=1)) for y, x in corners]
    crops[3] = (crops[3][0], torch.where(crops[3][1] > 0, torch.inf, -torch.inf))
    canvas = torch.full((9, 80, 80), -100.0)
    for k, ((y, x), logits) in enumerate(crops):
        canvas[k, y : y + 12, x : x + 10] = logits
    for k, ((y, x), logits) in enumerate(resolve_overlaps(crops)):
        winner = (canvas.argmax(0) == k) & (canvas[k] > 0)
        assert torch.equal(logits > 0, winner[y : y + 12, x : x + 10])


def test_equal_claims_go_to_the_first():
    same = torch.ones(3, 3)
    first, second = resolve_overlaps([((5, 5), same), ((5, 5), same)])
    assert (first[1] > 0).all()
    assert not (second[1] > 0).any()


def test_no_objects_and_empty_crops():
    assert resolve_overlaps([]) == []
    crops = [((0, 0), torch.zeros(0, 0)), ((0, 0), torch.ones(3, 3))]
    assert (resolve_overlaps(crops)[1][1] > 0).all()


def test_stability():
    sharp = from_picture("##..", "##..")
    soft = torch.tensor([[2.0, 0.5, -0.5, -2.0]])
    assert stability_score(sharp) == 1
    torch.testing.assert_close(stability_score(soft), torch.tensor(1 / 3))
    batch = torch.stack([soft, torch.full_like(soft, -5)])[:, None]
    torch.testing.assert_close(stability_score(batch), torch.tensor([[1 / 3], [1.0]]))
    with pytest.raises(ValueError, match="-2"):
        stability_score(soft, offset=-2)


def test_the_piece_that_was_clicked_is_kept() -> None:
    logits = torch.full((12, 12), -3.0)
    logits[1:4, 1:4] = 2.0
    logits[6:11, 6:11] = 2.0
    kept = keep_pieces(logits, np.array([[2, 2]]))
    assert (kept > 0).sum() == 9
    assert kept[2, 2] == 2.0
    assert kept[8, 8] == -10.0
    assert torch.equal(kept[logits < 0], logits[logits < 0])


@pytest.mark.parametrize("cells", [np.zeros((0, 2), np.int64), np.array([[5, 0]])])
def test_without_a_click_inside_the_largest_piece_is_kept(cells) -> None:
    logits = torch.full((12, 12), -3.0)
    logits[1:4, 1:4] = 2.0
    logits[6:11, 6:11] = 2.0
    assert (keep_pieces(logits, cells) > 0).sum() == 25


def test_one_piece_is_left_alone() -> None:
    logits = torch.randn(8, 8).abs() + 0.1
    assert keep_pieces(logits, np.array([[100, -3]])) is logits


def test_holes_of_answers_and_of_tracked_masks_are_filled_unless_a_click_made_them(monkeypatch):
    from napari_sam2.model.config import PRESETS
    from napari_sam2.model.sam2 import SAM2
    from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
    from napari_sam2.predictor.session import VideoSession
    from napari_sam2.predictor.video import VideoPredictor
    from napari_sam2.prompts import PointPrompt

    disk = torch.full((64, 64), -5.0)
    disk[20:40, 20:40] = 5.0
    disk[29:31, 29:31] = -5.0  # four cells
    choose = SAM2.choose

    def with_hole(self, output, multimask):
        found = choose(self, output, multimask)
        candidates = disk.expand_as(found.candidates)
        return replace(found, logits=candidates[:, :1], candidates=candidates)

    monkeypatch.setattr(SAM2, "choose", with_hole)
    movie = np.random.default_rng(0).integers(0, 255, (2, 256, 256), np.uint8)

    def holes(max_hole, *more):
        predictor = VideoPredictor(
            SAM2(PRESETS["bundled"]).eval(),
            options=PredictorOptions(view="whole", max_hole=max_hole),
        )
        session = VideoSession.open(movie)
        for prompt in (PointPrompt(1, 0, (100, 100)), *more):
            predictor.predict_frame(session, prompt)
        for _ in predictor.propagate(session, PropagateOptions(direction="forward")):
            pass
        return [not session.masklets.mask(1, t)[119, 119] for t in (0, 1)]

    assert holes(0) == [True, True]
    assert holes(8) == [False, False]
    assert holes(8, PointPrompt(1, 0, (119, 119), False)) == [True, False]
