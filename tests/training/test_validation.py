"""Figures of validation on answers whose quality is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sam2.training import held_back
from napari_sam2.training.losses import Answer
from napari_sam2.training.run_log import RunLog
from napari_sam2.training.synthetic.movie import KINDS
from napari_sam2.training.unroll import Step
from napari_sam2.training.validation import _presence, _ranking, summary


def step(scores: list[float], present: list[bool], logits: torch.Tensor | None = None) -> Step:
    truth = torch.zeros(len(scores), 16, 16, dtype=torch.bool)
    truth[torch.tensor(present), 4:12, 4:12] = True
    if logits is None:
        logits = torch.zeros(len(scores), 4, 4, 4)
    answer = Answer(logits, torch.rand(len(scores), 4), torch.tensor(scores)[:, None])
    return Step(1, answer, truth, torch.ones(len(scores), dtype=torch.bool), logits[:, :1])


def test_presence_counts_both_verdicts_apart() -> None:
    figures = _presence([step([3.0, 1.0, -1.0, 2.0, -2.0], [True, True, True, False, False])])
    assert figures["seen"] == pytest.approx(2 / 3)
    assert figures["gone"] == 0.5
    assert figures["balanced"] == pytest.approx(7 / 12)
    # Of the six pairs of one frame with and one without, four are in the right order.
    assert figures["auc"] == pytest.approx(4 / 6)


def test_always_present_scores_half() -> None:
    figures = _presence([step([5.0] * 4, [True, True, True, False])])
    assert figures == {"seen": 1.0, "gone": 0.0, "balanced": 0.5, "auc": 0.5}
    assert _presence([step([5.0], [True])]) == {}


def test_ranking_is_the_correlation_with_the_actual_iou() -> None:
    logits = torch.full((2, 4, 4, 4), -5.0)
    for row in range(2):
        for candidate in range(1, 4):
            logits[row, candidate, 1:3, 1 : 1 + candidate] = 5.0
    one = step([1.0, 1.0], [True, True], logits)
    actual = torch.tensor([[0.0, 0.5, 1.0, 0.67]] * 2)
    answer = Answer(logits, actual, one.answer.object_score)
    right = Step(1, answer, one.truth, one.annotated, one.logits)
    wrong = Step(
        1, Answer(logits, 1 - actual, answer.object_score), one.truth, one.annotated, one.logits
    )
    assert _ranking([right]) > 0.9
    assert _ranking([wrong]) < -0.9


def test_figures_go_to_the_table_one_a_row(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    figures = {"rods": {"click": 0.5}, "presence": {"gone": 0.25}}
    log.write_figures(10, 5.0, figures)
    # A kind that comes later changes no column.
    log.write_figures(20, 9.0, figures | {"cells": {"click": 0.7}})
    log.close()
    rows = (tmp_path / "validation.csv").read_text().splitlines()
    assert rows[0] == "step,elapsed,set,measure,value"
    assert rows[1] == "10,5,rods,click,0.5"
    assert len(rows) == 6
    assert summary(figures) == "click 0.500, gone 0.250"


@pytest.mark.data
def test_every_kind_is_kept_back(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = dict(list(KINDS.items())[:2])
    monkeypatch.setattr(held_back, "KINDS", kinds)
    batches = held_back.held_back(data_folder, tmp_path)
    assert set(batches.stills) == {"dsb2018", "em_fibsem", *kinds}
    assert set(batches.clips) == {"em_fibsem", *kinds}
    for kind in kinds:
        (stills,), (clips,) = batches.stills[kind], batches.clips[kind]
        assert stills.masks.shape[:3] == (8, 1, 3)
        assert clips.masks.shape[:3] == (4, 8, 3)
        numbers = {int(name.split()[-1]) for name in (*stills.sources, *clips.sources)}
        assert min(numbers) >= held_back.FIRST_SEED
        again = held_back.KindMovies(tmp_path, kind).draw(np.random.default_rng(0))
        assert again.kind == kind
