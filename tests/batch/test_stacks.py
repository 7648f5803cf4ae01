"""Stacks in batches: through depth and time with one id, and the same after an interruption."""

from __future__ import annotations

import contextlib
import csv

import numpy as np
import pytest
import tifffile

from napari_sam2.batch.jobs_file import read_jobs
from napari_sam2.batch.movie_run import run_movie
from napari_sam2.batch.plan import PlanError, plan_batch
from napari_sam2.io.open_tracked import open_tracked
from napari_sam2.io.prompts_file import write_prompts
from napari_sam2.io.spilled_masks import SpilledMasks
from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import PointPrompt

TIMES, SLICES, SIDE = 2, 5, 48


def ball(times: int) -> np.ndarray:
    """One ball that drifts, bool (T, Z, Y, X), largest in slice 2."""
    z, y, x = np.indices((SLICES, SIDE, SIDE))
    return np.stack(
        [(4 * (z - 2)) ** 2 + (y - 20) ** 2 + (x - 22 - 2 * t) ** 2 < 81 for t in range(times)]
    )


@pytest.fixture
def make_stacks(tmp_path):
    """Write stacks of a ball with its labels beside; extra axes come from the letters."""

    def make(name: str, axes: str) -> np.ndarray:
        folder = tmp_path / "stacks"
        folder.mkdir(exist_ok=True)
        truth = ball(TIMES if "T" in axes else 1)
        movie = np.random.default_rng(0).normal(200, 12, truth.shape) + 800 * truth
        if "C" in axes:
            movie = np.stack([np.full(movie.shape, 90.0), movie], axis=2)
        labels = truth[:1] if "T" in axes else truth
        if "T" not in axes:
            movie, labels = movie[0], labels[0]
        options = {"photometric": "minisblack", "metadata": {"axes": axes}}
        tifffile.imwrite(folder / f"{name}.ome.tif", movie.astype(np.uint16), **options)
        shown = axes.replace("C", "")
        tifffile.imwrite(
            folder / f"{name}.labels.tif", 3 * labels.astype(np.uint16), metadata={"axes": shown}
        )
        return truth

    return make


def plan_of(tmp_path, out, **common):
    return plan_batch(read_jobs(tmp_path / "stacks", {"out": str(tmp_path / out), **common}))


def test_stacks_with_channels_keep_one_id_and_a_run_that_is_cut_ends_the_same(
    make_stacks, tmp_path, digest
):
    truth = make_stacks("a", "TZCYX")
    (whole,) = plan_of(tmp_path, "whole", channels="1").jobs
    assert whole.frames == TIMES * SLICES
    report = run_movie(whole)
    assert (report.frames, report.slices, report.objects, report.lost) == (10, SLICES, 1, 0)
    labels = tifffile.imread(tmp_path / "whole/a/a.labels.tif")
    assert labels.shape == truth.shape
    assert set(np.unique(labels)) == {0, 3}
    overlap = [(labels[t] > 0) & truth[t] for t in range(TIMES)]
    union = [(labels[t] > 0) | truth[t] for t in range(TIMES)]
    assert min(o.sum() / u.sum() for o, u in zip(overlap, union, strict=True)) > 0.6
    with (tmp_path / "whole/a/a.csv").open() as file:
        assert [row["t"] for row in csv.DictReader(file)] == ["0", "1"]
    opened = open_tracked(tmp_path / "whole/a/a.sam2")
    assert opened.planes == PlaneGrid(TIMES, SLICES)
    assert opened.at(1)[0].object_id == 3
    (cut,) = plan_of(tmp_path, "cut", channels="1").jobs
    # In the first depth, on the slice of hand-over, and in the second depth.
    for stop in (4, 6, 9):
        assert run_movie(cut, lambda title, done, total, at=stop: done == at).outcome == "stopped"
    assert run_movie(cut).starts == 4
    assert digest(tmp_path / "cut/a") == digest(tmp_path / "whole/a")


class PowerCut(BaseException):
    """Ends a run where no handler looks."""


@pytest.mark.parametrize("along", ["both", "time", "z"])
def test_a_run_through_stacks_goes_on_behind_the_last_plane_on_disk(
    along, make_stacks, tmp_path, digest, monkeypatch
):
    make_stacks("a", "TZYX")
    (tmp_path / "stacks/a.labels.tif").unlink()
    clicks = [PointPrompt(1, 2, (20, 22)), PointPrompt(2, SLICES + 2, (20, 24))]
    clicks += [PointPrompt(2, 3, (20, 22))] if along == "time" else []
    write_prompts(tmp_path / "stacks/a.prompts.json", clicks)
    counted: list[int] = []
    (whole,) = plan_of(tmp_path, "whole", along=along).jobs
    run_movie(whole, lambda title, done, total: counted.append(done) or done > total)
    assert counted == list(range(1, len(counted) + 1))
    (job,) = plan_of(tmp_path, "cut", along=along).jobs
    flush, seen = SpilledMasks.flush, []

    def cut(masks):
        """End the run between the state of every third plane and its masks."""
        if masks.waiting():
            seen.append(1)
            if len(seen) % 3 == 0:
                raise PowerCut
        flush(masks)

    done: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(SpilledMasks, "flush", cut)
        while not (tmp_path / "cut/a").is_dir():
            with contextlib.suppress(PowerCut):
                run_movie(job, lambda title, count, total: done.append(count))
    assert not set(counted) <= set(done)
    assert len(done) == len(set(done))
    assert digest(tmp_path / "cut/a") == digest(tmp_path / "whole/a")


def test_a_z_stack_is_seeded_where_an_object_is_largest_and_written_as_a_stack(
    make_stacks, tmp_path
):
    truth = make_stacks("z", "ZYX")
    (job,) = plan_of(tmp_path, "out", outputs="ctc").jobs
    run_movie(job)
    volume = tifffile.imread(tmp_path / "out/z/z_ctc/mask000.tif")
    assert volume.shape == truth.shape[1:]
    assert ((volume > 0) & truth[0]).sum() / ((volume > 0) | truth[0]).sum() > 0.6
    opened = open_tracked(tmp_path / "out/z/z.sam2")
    prompted = [p for p in range(SLICES) for r in opened.masks.on(p).values() if r.prompted]
    assert prompted == [2]


def test_a_session_of_stacks_is_gone_on_with_at_later_times(make_stacks, tmp_path):
    make_stacks("a", "TZYX")
    (first,) = plan_of(tmp_path, "first", last=0).jobs
    run_movie(first)
    before = open_tracked(tmp_path / "first/a/a.sam2").at(0)
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[[jobs]]\nsession = "first/a/a.sam2"\nout = "second"\n')
    (job,) = plan_batch(read_jobs(jobs)).jobs
    assert job.grid == PlaneGrid(TIMES, SLICES)
    run_movie(job)
    after = open_tracked(tmp_path / "second/a/a.sam2")
    assert np.array_equal(after.at(0)[0].crop(), before[0].crop())
    assert after.at(1)[0].object_id == before[0].object_id


def test_the_range_of_stacks_counts_times(make_stacks, tmp_path):
    make_stacks("a", "TZYX")
    with pytest.raises(PlanError, match="time 2 is outside the movie: it has 0 to 1"):
        plan_of(tmp_path, "out", last=2)
    with pytest.raises(PlanError, match="slice 7 is outside the movie: it has 0 to 4"):
        plan_of(tmp_path, "out", last=7, along="z")
    with pytest.raises(PlanError, match="along is 'x'"):
        plan_of(tmp_path, "out", along="x")
