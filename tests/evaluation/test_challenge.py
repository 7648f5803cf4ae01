"""SEG, DET, TRA and divisions: the library on arrays as on files, and cases counted by hand."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_sam2.evaluation.challenge import score_challenge
from napari_sam2.evaluation.ground_truth import AnnotatedMovie
from napari_sam2.evaluation.metrics import seg_score
from napari_sam2.evaluation.protocol import Followed
from napari_sam2.evaluation.tasks import MaskletTask, whole_movie
from napari_sam2.masklets import MaskletSet

evaluate = pytest.importorskip("ctc_metrics.scripts.evaluate")


def answered(movie, labels, name="answer"):
    """Pretend that a method gave these label images."""
    return Followed(name, whole_movie(movie), MaskletSet.from_labels(labels), 0.0)


def by_files(folder, movie, labels, tracks):
    """Let the library judge files, as the challenge does."""
    result, truth = folder / "01_RES", folder / "01_GT"
    for part in (result, truth / "TRA", truth / "SEG"):
        part.mkdir(parents=True)
    for t, (answer, true) in enumerate(zip(labels, movie.labels, strict=True)):
        tifffile.imwrite(result / f"mask{t:03d}.tif", answer.astype(np.uint16))
        tifffile.imwrite(truth / "TRA" / f"man_track{t:03d}.tif", true)
        tifffile.imwrite(truth / "SEG" / f"man_seg{t:03d}.tif", true)
    rows = [
        f"{i} {begin} {end} {movie.mothers.get(i, 0)}"
        for i, (begin, end) in movie.lifetimes.items()
    ]
    (truth / "TRA" / "man_track.txt").write_text("\n".join(rows) + "\n")
    (result / "res_track.txt").write_text("\n".join(tracks) + "\n")
    with contextlib.redirect_stdout(io.StringIO()):
        return evaluate.evaluate_sequence(
            str(result), str(truth), ["DET", "SEG", "TRA", "BC"], threads=1
        )


def test_perfect_result_is_perfect(dividing_disk):
    movie = dividing_disk()
    score = score_challenge(answered(movie, movie.labels))
    assert (score.seg, score.det, score.tra, score.divisions) == (1.0, 1.0, 1.0, pytest.approx(1))
    assert (score.num_divisions, score.num_objects) == (1, 4)
    assert set(score.errors.values()) == {0}


def test_a_miss_and_a_split_agree_with_the_library_on_files(dividing_disk, tmp_path):
    movie = dividing_disk()
    labels = movie.labels.copy()
    labels[6][labels[6] == 3] = 0  # missed on one frame
    labels[2][:, :40][labels[2][:, :40] == 1] = 0  # half of the mother is cut away
    labels[5:][labels[5:] == 4] = 0  # lost for good
    score = score_challenge(answered(movie, labels))
    apart = labels.copy()  # files need a track without gaps
    apart[7:][apart[7:] == 3] = 9
    tracks = ["1 0 3 0", "2 4 8 1", "3 4 5 1", "9 7 8 3", "4 0 4 0"]
    expected = by_files(tmp_path, movie, apart, tracks)
    assert score.tra == pytest.approx(expected["TRA"])
    assert score.det == pytest.approx(expected["DET"])
    assert score.seg == pytest.approx(expected["SEG"])
    assert score.divisions == pytest.approx(expected["BC(1)"])
    # A cell that is missed costs ten; so by hand: 1 + 4 misses, and the half that is too small.
    half = int(2 * (labels[2] == 1).sum() <= (movie.labels[2] == 1).sum())
    masks = sum(len(np.unique(image)) - 1 for image in movie.labels)
    assert score.errors["FN"] == 5 + half
    assert score.det == pytest.approx(1 - (10 * (5 + half) + half) / (10 * masks))
    values = [seg_score(answer, true) for answer, true in zip(labels, movie.labels, strict=True)]
    counts = [len(np.unique(true)) - 1 for true in movie.labels]
    assert score.seg == pytest.approx(np.average(values, weights=counts))


def test_merged_daughters_cost_a_split_and_the_division(dividing_disk):
    movie = dividing_disk()
    labels = movie.labels.copy()
    labels[labels == 3] = 2
    score = score_challenge(answered(movie, labels))
    assert score.errors["NS"] == 5
    assert score.divisions == 0.0


def test_frames_without_annotation_and_objects_left_out_do_not_count(dividing_disk):
    movie = dividing_disk()
    perfect = movie.labels.copy()
    sparse = movie.labels.copy()
    sparse[[1, 5]] = 0
    sparse[6][sparse[6] == 4] = 0
    annotated = (0, 2, 3, 4, 6, 7, 8)
    partial = replace(movie, labels=sparse, annotated=annotated, complete=False)
    score = score_challenge(answered(partial, perfect))
    assert (score.seg, score.tra, score.divisions) == (1.0, 1.0, pytest.approx(1.0))
    assert score.num_masks == sum(len(np.unique(sparse[t])) - 1 for t in annotated)


def test_a_mask_after_the_end_of_a_track_costs_one(dividing_disk):
    movie = dividing_disk()
    labels = movie.labels.copy()
    labels[7:][labels[7:] == 4] = 0
    ended = AnnotatedMovie.of_stack("ended", movie.images, labels, movie.mothers)
    score = score_challenge(answered(ended, movie.labels))
    assert score.errors["FP"] == 2
    assert score.tra < 1.0


def test_seg_is_taken_on_gold_where_there_is_some(dividing_disk):
    movie = dividing_disk()
    gold = np.zeros_like(movie.labels[0])
    gold[60:80, 50:70] = (movie.labels[5] == 4)[60:80, 50:70] * 4
    gold[70:, :] = 0  # people drew only the upper half of disk 4
    score = score_challenge(answered(replace(movie, gold={5: gold}), movie.labels))
    area, drawn = (movie.labels[5] == 4).sum(), (gold == 4).sum()
    assert score.seg == pytest.approx(drawn / area)
    assert score.seg_labels == 1.0


def test_a_method_that_draws_nothing_scores_nothing(dividing_disk):
    movie = dividing_disk()
    score = score_challenge(answered(movie, np.zeros_like(movie.labels)))
    assert (score.seg, score.det, score.tra, score.divisions) == (0.0, 0.0, 0.0, None)


def test_whole_movie_asks_for_newcomers_and_ends_mothers(dividing_disk):
    task = whole_movie(dividing_disk())
    assert isinstance(task, MaskletTask)
    assert task.starts == {1: 0, 2: 4, 3: 4, 4: 0}
    assert task.ends == {1: 4}
    assert task.prompt == "1 click"
    assert task.is_on(1, 3)
    assert not task.is_on(1, 4)
    assert whole_movie(dividing_disk(), 2).starts == {1: 0, 4: 0}
