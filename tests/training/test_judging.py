"""The judge learns from clicks on movies whose truth is known."""

import numpy as np
import pytest
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.judge import TRAITS, load_mask_judge
from napari_sam2.training.clip_sources import StoredMovies
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.judging import (
    JudgeSamples,
    draw_judge_samples,
    export_judge,
    measure_judge,
    samples_of,
    train_judge,
)
from napari_sam2.training.synthetic import random_movie
from napari_sam2.training.synthetic.movie import KINDS


def movie(seed: int) -> LabelledMovie:
    made = random_movie(seed, 2, kind="nuclei")
    return LabelledMovie(f"nuclei {seed}", made.images, made.labels, max_stride=1)


def told(count: int) -> JudgeSamples:
    """Return samples whose eighth trait tells the IoU, and of which the decoder knows nothing."""
    generator = torch.Generator().manual_seed(count)
    traits = torch.randn(count, 3, TRAITS, generator=generator)
    predicted = torch.rand(count, 3, generator=generator)
    return JudgeSamples(traits, (2 * traits[..., 7]).sigmoid(), predicted)


def test_it_learns_which_mask_is_meant() -> None:
    figures = measure_judge(train_judge(told(640)), told(200))
    assert figures.chosen > 0.9 * figures.best > figures.chosen_before
    assert figures.error < 0.5 * figures.error_before


def test_what_it_is_taught_is_what_a_click_brings() -> None:
    samples = draw_judge_samples(
        load_model("bundled"), iter([movie(31_000_001)] * 9), 12, np.random.default_rng(0)
    )
    assert samples.traits.shape == (12, 3, TRAITS)
    assert torch.isfinite(samples.traits).all()
    assert samples.true.amax(1).mean() > 0.6, "nuclei are easy"
    figures = measure_judge(load_mask_judge(), samples)
    assert figures.error < 0.2


def test_of_every_kind_it_chooses_better_and_expects_what_is_true() -> None:
    model, rng = load_model("bundled"), np.random.default_rng(0)
    drawn = []
    for kind in sorted(KINDS):
        for seed in (31_000_003, 31_000_004):
            made = random_movie(seed, 1, kind=kind)
            one = LabelledMovie(kind, made.images, made.labels, max_stride=1)
            drawn.append(draw_judge_samples(model, iter([one] * 4), 4, rng))
    figures = measure_judge(load_mask_judge(), JudgeSamples.joined(drawn))
    assert figures.chosen > figures.chosen_before
    assert figures.error < 0.75 * figures.error_before


def test_drawing_goes_on_where_it_was_stopped(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_sam2.training.judging._CHUNK", 4)
    sources = (
        load_model("bundled"),
        StoredMovies([movie(31_000_001)]),
        StoredMovies([movie(31_000_002)]),
    )
    first = samples_of(*sources, tmp_path, "taught", 4)
    written = (tmp_path / "taught_0000.npz").stat().st_mtime_ns
    both = samples_of(*sources, tmp_path, "taught", 8)
    assert (tmp_path / "taught_0000.npz").stat().st_mtime_ns == written
    assert len(both) == 8
    assert torch.equal(both.true[:4], first.true)


def test_few_clicks_are_refused() -> None:
    with pytest.raises(ValueError, match="20 clicks are no batch of 64"):
        train_judge(told(20))


def test_what_is_written_is_read_again(tmp_path) -> None:
    judge = load_mask_judge()
    again = load_mask_judge(export_judge(judge, tmp_path / "judge.safetensors"))
    traits = told(5).traits
    torch.testing.assert_close(judge.ious(traits), again.ious(traits), atol=1e-6, rtol=1e-6)
