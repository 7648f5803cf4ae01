"""The division network: what it learns from, and that it learns."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from napari_sam2.model.division import GRID, DivisionNet, load_division_net
from napari_sam2.training import division_data
from napari_sam2.training.division_data import DivisionSamples, draw_samples, samples_of_movies
from napari_sam2.training.divisions import (
    DivisionOptions,
    export_division_net,
    measure_divisions,
    train_divisions,
)
from napari_sam2.training.synthetic import dividing_cells


@pytest.fixture(scope="module")
def samples() -> DivisionSamples:
    """Cells of two calm movies."""
    rng = np.random.default_rng(0)
    return DivisionSamples.joined(
        draw_samples(dividing_cells(frames=24, seed=seed), rng) for seed in (1, 2)
    )


def test_samples_show_divisions_and_where_the_daughters_are(samples) -> None:
    assert samples.crops.shape == (len(samples), 5, 64, 64)
    assert 3 <= int(samples.divided.sum()) < len(samples) / 2
    assert (samples.crops[:, 4].flatten(1).amax(1) == 255).all(), "each has a mask"
    known = ~samples.places.isnan().flatten(1).any(1)
    assert not (known & ~samples.divided).any()
    assert int(known.sum()) >= 3
    for crops, places in zip(samples.crops[known], samples.places[known], strict=True):
        for y, x in (64 * places).int().tolist():
            daughter = crops[2, y - 1 : y + 2, x - 1 : x + 2].float()
            assert daughter.mean() > crops[2].float().mean() + 20


def test_drawn_samples_are_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(division_data, "_CHUNK", 2)
    first = samples_of_movies(5, 4, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(division_data, "_draw_file", lambda *_, **__: pytest.fail("drawn again"))
    again = samples_of_movies(5, 4, tmp_path)
    assert torch.equal(first.crops, again.crops)
    assert torch.equal(first.places.nan_to_num(), again.places.nan_to_num())


def test_nuclei_alone_are_drawn_and_kept_beside_the_rest(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(division_data, "_CHUNK", 1)
    seed = division_data.KINDS.index("rods")
    rods = samples_of_movies(seed, 1, tmp_path)
    nuclei = samples_of_movies(seed, 1, tmp_path, "nuclei")
    assert len(list(tmp_path.glob(f"*_nuclei_{seed}.npz"))) == 1
    assert not torch.equal(rods.crops[:5], nuclei.crops[:5])


def test_a_network_that_knows_something_is_trained_on(samples, tmp_path) -> None:
    options = DivisionOptions(epochs=1, batch=8, learning_rate=1e-6)
    start = DivisionNet()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    net = train_divisions(samples, samples, options, tmp_path, print, start)
    for name, value in net.named_parameters():
        assert torch.allclose(value, before[name], atol=1e-4), name


def test_a_movie_without_a_cell_gives_no_sample() -> None:
    empty = dividing_cells(frames=3, seed=1)
    empty.labels[:] = 0
    empty.lineage.clear()
    assert len(draw_samples(empty, np.random.default_rng(0))) == 0


def test_it_learns_and_goes_on_where_it_was_stopped(samples, tmp_path) -> None:
    told: list[str] = []
    options = DivisionOptions(epochs=6, batch=8)
    torch.manual_seed(1)
    whole = train_divisions(samples, samples, options, tmp_path / "whole", told.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in told]
    assert losses[-1] < 0.7 * losses[0]
    stopped = pytest.raises(KeyboardInterrupt)
    with stopped:
        train_divisions(samples, samples, options, tmp_path / "part", _stop_at("epoch 3"))
    again: list[str] = []
    rest = train_divisions(samples, samples, options, tmp_path / "part", again.append)
    assert [line.split(":")[0] for line in again] == ["epoch 4", "epoch 5", "epoch 6"]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name


@pytest.mark.parametrize("changed", [DivisionOptions(epochs=3, batch=8), None])
def test_a_run_of_other_options_or_samples_is_not_gone_on_with(samples, tmp_path, changed) -> None:
    options = DivisionOptions(epochs=1, batch=8)
    train_divisions(samples, samples, options, tmp_path, print)
    others = DivisionSamples.joined([samples, samples]) if changed is None else samples
    with pytest.raises(ValueError, match=r"is of another run .*'epochs': 1.* name another folder"):
        train_divisions(others, samples, changed or options, tmp_path, print)


def test_nothing_to_learn_from_is_said_at_once(samples, tmp_path) -> None:
    living = ~samples.divided
    none = DivisionSamples(samples.crops[living], samples.divided[living], samples.places[living])
    with pytest.raises(ValueError, match=r"^0 divisions among \d+ samples .* draw more movies"):
        train_divisions(none, samples, DivisionOptions(batch=8), tmp_path, print)
    with pytest.raises(ValueError, match="not enough for a batch of 4096"):
        train_divisions(samples, samples, DivisionOptions(batch=4096), tmp_path, print)


def test_a_disk_that_fills_keeps_the_last_epoch(samples, tmp_path) -> None:
    options = DivisionOptions(epochs=3, batch=8)
    with pytest.raises(KeyboardInterrupt):
        train_divisions(samples, samples, options, tmp_path, _stop_at("epoch 1"))
    good = (tmp_path / "division.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file that may not grow beyond this is what a full disk looks like to a program.
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 3, limits[1]))
    try:
        with pytest.raises(OSError, match="the last one stays"):
            train_divisions(samples, samples, options, tmp_path, print)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "division.pt").read_bytes() == good
    told: list[str] = []
    train_divisions(samples, samples, options, tmp_path, told.append)
    assert [line.split(":")[0] for line in told] == ["epoch 2", "epoch 3"]
    assert not list(tmp_path.glob("*.part"))


def _stop_at(epoch: str):
    def say(line: str) -> None:
        if line.startswith(epoch):
            raise KeyboardInterrupt

    return say


def test_weights_are_written_and_read(tmp_path) -> None:
    net = DivisionNet().eval()
    again = load_division_net(export_division_net(net, tmp_path / "net.safetensors"))
    crops = torch.randint(0, 255, (2, 5, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        one, other = net(crops), again(crops)
    assert one.places.shape == (2, GRID, GRID)
    assert torch.allclose(one.score, other.score, atol=1e-2)


def test_figures_of_a_network_that_knows_everything() -> None:
    divided = torch.arange(2000) % 10 == 0
    crops = torch.zeros((2000, 5, 1, 1), dtype=torch.uint8)
    crops[divided] = 9

    class Oracle(DivisionNet):
        def forward(self, crops):
            return type("Output", (), {"score": crops[:, 0, 0, 0].float()})

    samples = DivisionSamples(crops, divided, torch.full((2000, 2, 2), torch.nan))
    figures = measure_divisions(Oracle(), samples)
    assert figures.precision == pytest.approx(1)
    assert figures.found == 1
