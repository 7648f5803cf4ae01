"""The protocols and reports, on rivals whose scores are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2.evaluation.contest import Contest, SetResult
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.protocol import score_masklets, score_stills
from napari_sam2.evaluation.rivals import (
    CopyMask,
    EllipseInBox,
    LinkedWatershed,
    WatershedUnderClick,
)
from napari_sam2.evaluation.sampling import Sampling
from napari_sam2.evaluation.sets import EvaluationSet
from napari_sam2.evaluation.summary import summarise
from napari_sam2.evaluation.tables import tables
from napari_sam2.evaluation.tasks import pick_departures, pick_masklets, pick_stills
from napari_sam2.evaluation.watershed import Watershed
from napari_sam2.masklets import MaskRecord


class HalfThenWhole:
    """Answers the left half, and the whole only to a second positive click on the right."""

    name = "half"
    protocols = ("1 click", "3 clicks")

    def __init__(self, truth):
        self.truth = truth
        self.asked = []

    def answer(self, movie, frame, prompts):
        self.asked.append(prompts.clicks)
        left = self.truth.copy()
        left[:, 40:] = False
        return MaskRecord.from_mask(left if len(prompts.clicks) == 1 else self.truth)


def test_second_click_goes_where_the_first_answer_was_wrong(moving_disks):
    movie = moving_disks(frames=1)
    (still,) = [s for s in pick_stills([movie], 3, 0) if s.object_id == 2]
    method = HalfThenWhole(movie.mask(2, 0))
    scores = {s.protocol: s.iou for s in score_stills(method, [still])}
    assert 0.4 < scores["1 click"] < 0.55
    assert scores["3 clicks"] == 1.0
    first, second = method.asked[1]
    assert first == ((60.0, 40.0), True)
    assert second[1]
    assert second[0][1] > 40


def test_masklet_scores_are_means_over_annotated_frames(moving_disks):
    movie = moving_disks(frames=7, annotated=(0, 2, 3, 6))
    (task,) = pick_masklets(movie, count=3, length=6, seed=0)
    scores = {s.object_id: s for s in score_masklets(CopyMask(), [task])}
    expected = [iou(movie.mask(1, 0), movie.mask(1, t)) for t in (2, 3, 6)]
    assert list(scores[1].per_frame) == [2, 3, 6]
    assert scores[1].iou == pytest.approx(np.mean(expected))
    assert scores[1].lost
    assert not scores[2].lost
    assert scores[2].iou == 1.0


def test_object_left_out_of_an_annotated_frame_is_not_scored_there(moving_disks):
    movie = moving_disks(frames=4)
    movie.labels[2][movie.labels[2] == 5] = 0
    (task,) = pick_masklets(movie, count=3, length=3, seed=0)
    scores = {s.object_id: s for s in score_masklets(CopyMask(), [task])}
    assert list(scores[5].per_frame) == [1, 3]
    assert scores[5].iou == 1.0


def test_object_that_has_gone_scores_by_empty_frames(moving_disks):
    movie = replace(moving_disks(frames=8, speed=0.0), lifetimes={1: (0, 4)})
    movie.labels[5:][movie.labels[5:] == 1] = 0
    movie.images[5:] = np.where(movie.labels[5:] > 0, 120, 20)
    tasks = pick_departures(movie, count=1, seed=0)
    (copied,) = score_masklets(CopyMask(), tasks)
    (linked,) = score_masklets(LinkedWatershed(Watershed()), tasks)
    assert copied.per_frame == {5: 0.0, 6: 0.0, 7: 0.0}
    assert linked.iou == 1.0
    assert copied.lost is None
    table = tables(summarise([SetResult("disks", "disks", "movie", [copied, linked])]))
    assert "| up to 10 frames after it has gone: left empty | copy the mask |" in table
    assert "| disks (n = 1) | 0.000 | **1.000** |" in table


def test_methods_take_part_only_in_their_protocols(moving_disks):
    stills = pick_stills([moving_disks(frames=1)], 3, 0)
    assert {s.protocol for s in score_stills(EllipseInBox(), stills)} == {"box"}
    assert len(score_stills(WatershedUnderClick(Watershed()), stills)) == 12


def test_rivals_run_through_tables_and_are_the_same_twice(moving_disks, dividing_disk):
    movies = EvaluationSet("disks", "movie", (moving_disks(frames=6), dividing_disk()))
    contest = Contest.of_rivals()
    sampling = Sampling(
        stills=6, masklets=3, frames=5, prompted=2, prompts=("box",), long_masklets=3,
        long_frames=4, interactive=1, interactive_frames=4, most_interactions=3,
    )  # fmt: skip
    result, kept = contest.measure(movies, sampling)
    again, _ = contest.measure(movies, sampling)
    assert tables(summarise([result])) == tables(summarise([again]))
    assert [score.j for score in result.interactive] == [s.j for s in again.interactive]
    assert not kept  # only the network's masks are drawn
    cells = {(c.protocol, c.method): c for c in summarise([result])}
    assert cells["1 click", "watershed (global threshold)"].iou > 0.85
    copied = cells["5 frames from a mask", "copy the mask"]
    assert copied.count == 6  # three of each movie
    assert copied.lost == pytest.approx(1 / 6)
    assert copied.both == pytest.approx((copied.iou + copied.boundary) / 2)
    assert "5 frames from a box" in {c.protocol for c in summarise([result])}
    assert "4 frames with newcomers, from masks" in {c.protocol for c in summarise([result])}
    names = [score.method for score in result.challenge]
    assert len(names) == 2 * len(contest.on_movies)
    best = max(score.tra for score in result.challenge if score.movie == "dividing")
    assert best > 0.95
    table = tables(summarise([result]))
    assert "| 5 frames from a mask: J (J&F, lost) |" in table
    assert ", 17 %) |" in table
