"""Tables, targets and pictures of results that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_sam2.evaluation.calibration import Confidence
from napari_sam2.evaluation.challenge import ChallengeScore
from napari_sam2.evaluation.contest import SetResult
from napari_sam2.evaluation.interactive import InteractiveScore
from napari_sam2.evaluation.protocol import Followed, ObjectScore
from napari_sam2.evaluation.report import read_results
from napari_sam2.evaluation.sampling import Sampling
from napari_sam2.evaluation.strips import write_strips
from napari_sam2.evaluation.summary import curves, iou_over_time, summarise
from napari_sam2.evaluation.tables import report, target_table
from napari_sam2.evaluation.targets import targets
from napari_sam2.evaluation.tasks import MaskletTask
from napari_sam2.masklets import MaskletSet

FLOW = "optical flow (DIS) warping the mask"


def score(method, protocol, value, lost=None, number=1):
    per_frame = {number + 1: value, number + 2: value / 2} if "from" in protocol else {}
    return ObjectScore(
        method, protocol, "m", number, number, value, 1.0, 0.01, per_frame, lost, None
    )


def challenge(method, seg, tra):
    return ChallengeScore(method, "m", seg, seg, tra, tra, None, 0, {"FN": 1}, 3, 9, 0.01)


def result():
    scores = [
        score("network", "1 click", 0.9),
        score("network", "1 click", 0.8, number=2),
        score("watershed (local threshold)", "1 click", 0.7),
        score("watershed (local threshold)", "1 click", 0.7, number=2),
        score("network", "20 frames from a mask", 0.8, lost=False),
        score("network", "20 frames from a mask", 0.6, lost=True, number=2),
        score(FLOW, "20 frames from a mask", 0.9, lost=False),
        score(FLOW, "20 frames from a mask", 0.9, lost=False, number=2),
    ]
    online = [
        InteractiveScore("network", "online", "m", 1, 0, (0.5, 0.7), (0.7, 0.9), 2),
        InteractiveScore("network", "online", "m", 2, 0, (0.7, 0.9), (0.9, 1.0), 1),
    ]
    movies = [challenge("network", 0.80, 0.90), challenge(FLOW, 0.70, 0.95)]
    said = Confidence([0.9, 0.5], [0.8, 0.6], [2.0, -1.0], [True, False])
    return SetResult("ctc_N2DH-SIM_01", "SIM 01", "movie", scores, online, movies, said, 1.0)


def test_targets_say_what_is_met_and_who_is_ahead():
    found = {row.measure: row for row in targets([result()], summarise([result()]))}
    assert {row.dataset for row in found.values()} == {"SIM 01"}
    click = found["1 click: J"]
    assert (click.bar, click.value, click.rival) == (0.80, pytest.approx(0.85), 0.7)
    assert click.is_met
    assert not found["20 frames from a mask: J"].is_met
    lost = found["20 frames from a mask: lost"]
    assert (lost.value, lost.rival, lost.rival_name) == (0.5, 0.0, FLOW)
    assert not lost.is_met
    assert found["one click a cell, whole movie: SEG"].is_met
    assert not found["one click a cell, whole movie: TRA"].is_met
    table = target_table([result()], summarise([result()]))
    assert (
        "| 1 click: J | SIM 01 | 0.80 | 0.850 ± 0.050 | yes | 0.700 (watershed, local) |" in table
    )
    assert (
        "| 20 frames from a mask: lost | SIM 01 | 3 % | 50 % | no | 0 % (optical flow) |" in table
    )


def test_the_best_of_a_row_is_bold():
    text = report([result()])
    assert "| SIM 01 (n = 2) | **0.850** ± 0.050 | 0.700 ± 0.000 |" in text
    assert "| 0.700 ± 0.100 (0.850, 50 %) | **0.900** ± 0.000 (0.950, 0 %) |" in text
    assert "| SIM 01 (3 cells, 9 masks) | network | **0.800** | **0.800** | 0.900 | 0.900 |" in text


def test_curves_and_times_are_means_over_objects():
    (curve,) = curves([result()])
    assert curve.both == pytest.approx((0.7, 0.875))
    assert curve.iou == pytest.approx((0.6, 0.8))
    assert curve.frames == 1.5
    over_time = iou_over_time([result()], "20 frames from a mask")
    assert over_time["network"] == [(1, pytest.approx(0.7)), (2, pytest.approx(0.35))]


def test_corrections_of_all_synthetic_kinds_are_one_curve():
    phase = replace(result(), title="synthetic phase", kind="synthetic")
    rods = replace(result(), title="synthetic rods", kind="synthetic")
    own, synthetic = curves([result(), phase, rods])
    assert (own.dataset, own.count) == ("SIM 01", 2)
    assert (synthetic.dataset, synthetic.count) == ("synthetic, all kinds", 4)
    assert synthetic.both == pytest.approx(own.both)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"sets": 3}')
    with pytest.raises(ValueError, match="holds no results"):
        read_results(path)


def test_limits_hold_for_every_protocol_and_small_sets_are_asked_for_less():
    few = Sampling().limited(5)
    counts = (few.stills, few.masklets, few.prompted, few.long_masklets, few.departures)
    assert counts == (5, 5, 5, 5, 5)
    assert Sampling().of("stack").frames < Sampling().frames
    assert Sampling().of("synthetic").stills < Sampling().stills
    assert 0 < Sampling().of("synthetic").interactive < Sampling().interactive
    assert Sampling().of("movie") == Sampling()
    assert Sampling.quick(3).seed == 3


def test_strips_show_the_best_and_the_worst(tmp_path, moving_disks):
    movie = moving_disks(frames=4, speed=6.0)
    stays = MaskletSet(movie.labels.shape)
    for object_id in (1, 2):
        for frame in range(4):
            stays.write(object_id, frame, movie.record(object_id, 0))
    task = MaskletTask(movie, {1: 0, 2: 0}, 3, (1, 2, 3), "3 frames from a mask")
    paths = write_strips(tmp_path, "disks", [Followed("network", task, stays, 0.0)], count=1)
    assert [path.name for path in paths] == ["disks_best.png", "disks_worst.png"]
    best, worst = (np.asarray(Image.open(path)).astype(int) for path in paths)
    assert best.shape == worst.shape
    green = [((im[..., 1] - im[..., 0]) > 150).sum() for im in (best, worst)]
    # Where the answer lies on the truth, it covers its outline; the lost one leaves it bare.
    assert green[1] > green[0] + 100
    assert write_strips(tmp_path, "none", []) == []
