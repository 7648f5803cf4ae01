"""Fine-tuning of the network that ships on a made-up movie: it learns, stops and goes on."""

from __future__ import annotations

import itertools
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_sam2.model.checkpoint import available_models, load_model
from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.training import finetune, finetune_rounds
from napari_sam2.training.adapters import add_adapters, merge_adapters
from napari_sam2.training.clips import fit_to
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.finetune import FineTuning, Progress, fine_tune
from napari_sam2.training.finetune_data import Lessons, SparseClips
from napari_sam2.training.finetune_learner import Learner
from napari_sam2.training.finetune_measure import Figures, Sample, measure
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.finetune_result import Report, publish, refuse_taken
from napari_sam2.training.finetune_rounds import Rounds
from napari_sam2.training.finetune_state import CHECKPOINT
from napari_sam2.training.unroll import Plan, Unroller

OPTIONS = FineTuneOptions(
    minutes=0.0,
    steps=2,
    stills_a_step=1,
    frames_a_step=2,
    objects_a_window=1,
    validations=1,
    precision="float32",
    device="cpu",
)


def disks(frames: int = 6, objects: int = 2) -> LabelledMovie:
    """Bright disks on a dark ground that move by a pixel a frame."""
    y, x = np.indices((72, 80))
    labels = np.zeros((frames, 72, 80), np.uint16)
    for t in range(frames):
        for number, centre in enumerate(((20 + t, 20), (48, 52 - t))[:objects], start=1):
            labels[t][(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 90] = number
    noise = np.random.default_rng(0).normal(100, 10, labels.shape)
    return LabelledMovie("disks", (noise + 300 * (labels > 0)).astype(np.uint16), labels)


def lessons(**changes: object) -> Lessons:
    return Lessons((replace(disks(), **changes, _tables={}),))


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def changed(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    """Which large parts of the network differ."""
    assert one.keys() == other.keys()
    return {k.partition(".")[0] for k in one if not torch.equal(one[k], other[k])}


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """An empty folder of networks."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory) -> FineTuning:
    run = FineTuning(OPTIONS, lessons(), tmp_path_factory.mktemp("whole"))
    run.train()
    return run


class TestWhatLearns:
    @pytest.mark.parametrize("learn", ["decoder", "memory+decoder", "adapters", "everything"])
    def test_only_what_is_asked_for_moves(self, learn, tmp_path):
        # In some steps the encoder rests: two might show none of its own.
        outcome = fine_tune(replace(OPTIONS, learn=learn, steps=4), lessons(), tmp_path)
        moved = changed(weights(load_model()), weights(outcome.model))
        answering = {"sam_prompt_encoder", "sam_mask_decoder"}
        assert answering <= moved
        assert (moved == answering) == (learn == "decoder")
        assert ({"memory_attention", "memory_encoder"} <= moved) == (learn != "decoder")
        assert ("image_encoder" in moved) == (learn in ("adapters", "everything"))
        assert outcome.is_complete
        assert outcome.standing.step == 4

    @pytest.mark.parametrize("learn", ["decoder", "memory+decoder"])
    def test_all_of_the_decoder_learns_where_windows_are_encoded_once(self, learn, tmp_path):
        options = replace(OPTIONS, learn=learn, steps=6, still_share=0.5)
        outcome = fine_tune(options, replace(lessons(), validation=()), tmp_path)
        before, after = weights(load_model()), weights(outcome.model)
        decoder = [name for name in before if name.startswith("sam_mask_decoder.")]
        assert not [name for name in decoder if torch.equal(before[name], after[name])]

    @pytest.mark.parametrize(("learn", "times"), [("decoder", 4), ("adapters", 7)])
    def test_an_encoder_that_rests_sees_each_window_once(self, learn, times, tmp_path, monkeypatch):
        encoded = []
        encode = Unroller.encode
        monkeypatch.setattr(
            Unroller, "encode", lambda self, images: encoded.append(1) or encode(self, images)
        )
        options = replace(OPTIONS, learn=learn, steps=7, still_share=1.0)
        fine_tune(options, replace(lessons(), validation=()), tmp_path)
        assert len(encoded) <= times
        assert (len(encoded) == 7) == (learn == "adapters")

    def test_fresh_adapters_change_nothing_and_merged_ones_answer_alike(self):
        model = load_model()
        image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected = model.encode_image(image).embedding
            assert add_adapters(model.image_encoder, 4) > 10
            assert torch.equal(model.encode_image(image).embedding, expected)
            for name, parameter in model.image_encoder.named_parameters():
                if name.endswith(".up"):
                    parameter.normal_(std=0.02)
            adapted = model.encode_image(image).embedding
            assert not torch.allclose(adapted, expected, atol=1e-3)
            merge_adapters(model.image_encoder)
            torch.testing.assert_close(model.encode_image(image).embedding, adapted)
        assert model.state_dict().keys() == load_model().state_dict().keys()

    def test_adapters_are_few(self):
        counts = {
            learn: Learner.of(load_model(), replace(OPTIONS, learn=learn)).count()
            for learn in ("decoder", "memory+decoder", "adapters", "everything")
        }
        assert counts["decoder"] < 0.6 * counts["memory+decoder"]
        assert counts["memory+decoder"] < counts["adapters"] < 1.2 * counts["memory+decoder"]
        assert counts["everything"] > 2 * counts["adapters"]


def test_what_an_annotator_calls_the_object_is_learned(tmp_path):
    # A bright core in a dim disk: the network takes the core, this annotator the whole disk.
    y, x = np.indices((96, 96))
    distance = np.stack([np.hypot(y - 40 - t, x - 44 + t) for t in range(4)])
    light = 100 + 90 * (distance < 18) + 300 * (distance < 8)
    noise = np.random.default_rng(0).normal(0, 10, light.shape)
    labels = (distance < 18).astype(np.uint16)
    movie = LabelledMovie("cored", (light + noise).astype(np.uint16), labels)
    asked = Sample(objects=4, followed=1, starts=1, frames=3)
    runtime = Runtime.auto("cpu")
    before = measure(load_model(), [movie], runtime, asked)
    options = replace(OPTIONS, steps=20, stills_a_step=2, learning_rate=5e-4)
    outcome = fine_tune(options, Lessons((movie,)), tmp_path)
    after = measure(outcome.model, [movie], runtime, asked)
    assert 1 - after.one_click < 0.6 * (1 - before.one_click), (before, after)
    assert after.score() > before.score()


class TestFollowing:
    """With a memory that rests, objects are followed as before, whatever their masks are called."""

    def tracked(self, model: SAM2, movie: LabelledMovie) -> torch.Tensor:
        """Return the logits on the frame after a mask was given."""
        unroller = Unroller(model, torch.Generator().manual_seed(0), memory_learns=False)
        pixels = torch.from_numpy(movie.images[:2].astype(np.float32) / 500).clamp(0, 1)
        images = F.interpolate(pixels[:, None], (256, 256))[None].expand(-1, -1, 3, -1, -1)
        masks = torch.from_numpy(movie.labels[:2] == 1)[:, None].float()
        masks = F.interpolate(masks, (256, 256))[None] > 0
        with torch.no_grad():
            steps = unroller.run(images, masks, torch.ones(1, 2, dtype=torch.bool), Plan("mask"))
        return steps[-1].answer.logits.tanh()

    def test_it_is_kept_while_answers_to_prompts_change(self, tmp_path, monkeypatch):
        movie = disks()
        options = replace(OPTIONS, steps=8, still_share=0.5, learning_rate=1e-3)
        before = self.tracked(load_model(), movie)
        moved = {}
        for kept in (4.0, 0.0):
            monkeypatch.setattr(finetune, "_KEPT", kept)
            outcome = fine_tune(options, Lessons((movie,)), tmp_path / str(kept))
            moved[kept] = float((self.tracked(outcome.model, movie) - before).abs().mean())
        assert 0 < moved[4.0] < 0.6 * moved[0.0], moved


class TestRounds:
    """Three steps a round, a second each, and eight seconds."""

    options = replace(OPTIONS, minutes=8 / 60, steps=0, passes=0.25)

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def few_steps(cls):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(finetune_rounds, "_LEAST_STEPS", 2)
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, few_steps, tmp_path_factory):
        return cls.run(tmp_path_factory.mktemp("whole")).train()

    @classmethod
    def run(cls, folder, **changes):
        # Whatever is timed takes a second: twelve masks make rounds of three steps.
        seconds = itertools.count()
        options = replace(cls.options, **changes)
        return FineTuning(options, lessons(), folder, clock=lambda: next(seconds))

    def test_the_result_is_the_mean_of_as_many_as_there_is_time_for(self, tmp_path, monkeypatch):
        ends = []
        end = Rounds.end
        monkeypatch.setattr(
            Rounds, "end", lambda one, w: ends.append((w, run.standing.step)) or end(one, w)
        )
        run = self.run(tmp_path)
        outcome = run.train()
        assert outcome.is_complete
        assert [step for _, step in ends] == [3, 6, 8], "the last one is shorter"
        assert run.standing.rounds.finished == 3
        found, start, moved = weights(outcome.model), weights(load_model()), 0.0
        for name in ends[0][0]:
            each = [learned[name] for learned, _ in ends]
            torch.testing.assert_close(found[name], sum(each) / 3, msg=name)
            assert not torch.equal(each[0], each[1]) or torch.equal(each[0], start[name])
            moved = max(moved, *(float((one - start[name]).abs().max()) for one in each))
        assert 0 < moved < 0.02, "each began anew"

    def test_what_is_too_short_for_half_a_round_is_left(self, tmp_path):
        outcome = self.run(tmp_path, minutes=7.4 / 60).train()
        assert outcome.standing.step == 6
        assert outcome.is_complete

    def test_one_round_if_wanted_and_for_adapters(self, tmp_path):
        for number, changes in enumerate(({"passes": 0.0}, {"learn": "adapters"})):
            outcome = self.run(tmp_path / str(number), **changes).train()
            assert outcome.standing.step == 8
            assert outcome.standing.rounds.finished == 0

    @pytest.mark.parametrize("stop", [2, 4, 6])
    def test_a_resumed_run_equals_an_uninterrupted_one(self, stop, whole, tmp_path):
        first = self.run(tmp_path / "parts")
        first.watch = lambda told: told.step == stop
        assert not first.train().is_complete
        second = self.run(tmp_path / "parts")
        second.resume()
        outcome = second.train()
        assert outcome.standing.step == whole.standing.step == 8
        for (name, one), other in zip(
            outcome.model.named_parameters(), whole.model.parameters(), strict=True
        ):
            torch.testing.assert_close(one, other, msg=name)

    def test_the_mean_of_all_is_kept_unless_the_start_is_better(self, tmp_path, monkeypatch):
        for name, last, is_kept in (("better", 0.6, True), ("worse", 0.4, False)):
            run = self.run(tmp_path / name, validations=3)
            run.lessons = replace(run.lessons, validation=run.lessons.train)
            scores = iter([0.5, 0.8, 0.7, last])
            monkeypatch.setattr(
                run, "_measure", lambda weights=None, found=scores: Figures(*[next(found)] * 4)
            )
            standing = run.train().standing
            assert standing.rounds.finished >= 2
            assert standing.best.score() == pytest.approx(last if is_kept else 0.7)

    def test_more_minutes_are_more_rounds(self, tmp_path):
        first = self.run(tmp_path)
        first.train()
        more = self.run(tmp_path, minutes=11 / 60)
        more.resume()
        assert more.train().standing.rounds.finished == 4


def test_who_stops_a_run_does_not_wait_for_another_measurement(tmp_path, monkeypatch):
    def stop(told: Progress) -> bool:
        return told.figures is not None and told.step > 0

    data = Lessons((disks(),), (disks(),))
    run = FineTuning(replace(OPTIONS, steps=4, validations=4), data, tmp_path, stop)
    scores = [Figures(score, score, score, score) for score in (0.5, 0.7)]
    monkeypatch.setattr(run, "_measure", lambda weights=None: scores.pop(0))
    assert not run.train().is_complete
    assert not scores


class TestGoingOn:
    def test_a_resumed_run_equals_an_uninterrupted_one(self, whole_run, tmp_path):
        first = FineTuning(OPTIONS, lessons(), tmp_path)
        first.watch = lambda told: told.step == 1
        stopped = first.train()
        assert not stopped.is_complete
        assert stopped.standing.step == 1
        second = FineTuning(OPTIONS, lessons(), tmp_path)
        second.resume()
        assert second.train().standing.step == 2
        expected = weights(whole_run.learner.average)
        for name, value in weights(second.learner.average).items():
            assert torch.equal(value, expected[name]), name

    def test_a_finished_run_goes_on_when_it_gets_more_time(self, whole_run):
        options = replace(OPTIONS, steps=3)
        run = FineTuning(options, lessons(), whole_run.folder)
        run.resume()
        assert run.train().standing.step == 3

    @pytest.mark.parametrize(
        ("options", "data", "message"),
        [
            (
                replace(OPTIONS, learning_rate=1e-3),
                {},
                r"learning_rate was 0\.0003 and is 0\.001",
            ),
            (replace(OPTIONS, ema_decay=0.5, seed=4), {}, r"ema_decay was .*seed was 0 and is 4"),
            (OPTIONS, {"annotated": frozenset({0, 1})}, r"the data had .*disks .*the data have"),
        ],
    )
    def test_another_configuration_is_refused(self, whole_run, options, data, message):
        before = (whole_run.folder / CHECKPOINT).read_bytes()
        run = FineTuning(options, lessons(**data), whole_run.folder)
        with pytest.raises(ValueError, match=message):
            run.resume()
        assert (whole_run.folder / CHECKPOINT).read_bytes() == before

    def test_no_checkpoint_and_a_damaged_one(self, whole_run, tmp_path):
        run = FineTuning(OPTIONS, lessons(), tmp_path)
        with pytest.raises(FileNotFoundError, match="start without resuming"):
            run.resume()
        content = (whole_run.folder / CHECKPOINT).read_bytes()
        (tmp_path / CHECKPOINT).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match="is damaged"):
            run.resume()

    def test_a_disk_that_fills_keeps_the_last_good_checkpoint(self, whole_run, tmp_path):
        run = FineTuning(OPTIONS, lessons(), tmp_path)
        run.watch = lambda told: told.step == 1
        run.train()
        good = (tmp_path / CHECKPOINT).read_bytes()
        again = FineTuning(OPTIONS, lessons(), tmp_path)
        again.resume()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # A file that may not grow beyond this is what a full disk looks like to a program.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 3, limits[1]))
        try:
            with pytest.raises(OSError, match=r"no space to write .*checkpoint\.pt"):
                again.train()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (tmp_path / CHECKPOINT).read_bytes() == good
        assert {p.name for p in tmp_path.iterdir()} <= {CHECKPOINT, "steps.csv"}
        last = FineTuning(OPTIONS, lessons(), tmp_path)
        last.resume()
        assert last.standing.step == 1

    def test_a_disk_that_fills_on_the_way_does_not_end_the_run(self, tmp_path, monkeypatch):
        monkeypatch.setattr("napari_sam2.training.finetune._CHECKPOINT_SECONDS", 0.0)
        notes: list[str] = []
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)

        def watch(told: Progress) -> None:
            notes.append(told.note)
            if told.note:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

        run = FineTuning(OPTIONS, lessons(), tmp_path, watch)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            assert run.train().standing.step == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert any("not saved: " in note for note in notes)
        assert run.has_checkpoint

    def test_a_folder_without_room_is_refused(self, tmp_path, monkeypatch):
        usage = type("Usage", (), {"free": 1000})
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        with pytest.raises(OSError, match="make room"):
            FineTuning(OPTIONS, lessons(), tmp_path)


class TestSmallData:
    def test_a_single_object_on_a_single_frame(self, tmp_path):
        movie = disks(frames=1, objects=1)
        outcome = fine_tune(OPTIONS, Lessons((movie,)), tmp_path)
        assert outcome.standing.step == 2
        assert changed(weights(load_model()), weights(outcome.model))

    def test_nothing_to_learn_from(self, tmp_path):
        empty = LabelledMovie("empty", np.zeros((2, 40, 40)), np.zeros((2, 40, 40), np.uint16))
        with pytest.raises(ValueError, match="hold no object"):
            FineTuning(OPTIONS, Lessons((empty,)), tmp_path)
        speck = np.zeros((1, 40, 40), np.uint16)
        speck[0, 5, 5] = 1
        movie = LabelledMovie("speck", np.random.default_rng(0).random((1, 40, 40)), speck)
        with pytest.raises(ValueError, match="no object that is large enough"):
            FineTuning(OPTIONS, Lessons((movie,)), tmp_path)


class TestValidation:
    def test_the_best_network_is_kept_and_stale_runs_end(self, tmp_path, monkeypatch):
        scores = iter([0.5, 0.7, 0.6, 0.6])

        def scored(*_: object) -> Figures:
            value = next(scores)
            return Figures(value, value, value, value)

        monkeypatch.setattr("napari_sam2.training.finetune.measure", scored)
        told: list[Progress] = []
        options = replace(OPTIONS, steps=10, validations=10, patience=2)
        run = FineTuning(options, Lessons((disks(),), (disks(),)), tmp_path, told.append)
        outcome = run.train()
        assert outcome.standing.step == 3
        assert outcome.standing.best.one_click == 0.7
        figures = [t.figures.one_click for t in told if t.figures is not None]
        assert figures == [0.5, 0.7, 0.6, 0.6]
        assert changed(weights(outcome.model), weights(run.learner.average))

    def test_a_run_that_gains_nothing_gives_its_start_back(self, tmp_path, monkeypatch):
        figures = Figures(0.9, 0.9, 0.9, 0.9)
        monkeypatch.setattr("napari_sam2.training.finetune.measure", lambda *_: figures)
        outcome = fine_tune(OPTIONS, Lessons((disks(),), (disks(),)), tmp_path)
        assert not changed(weights(outcome.model), weights(load_model()))

    def test_what_is_measured(self):
        figures = measure(load_model(), [disks()], Runtime.auto("cpu"), Sample(4, 2, 1, 3))
        assert figures.one_click > 0.6
        assert figures.three_clicks >= figures.one_click - 0.05
        assert figures.tracking > 0.6
        still = measure(load_model(), [disks(frames=1)], Runtime.auto("cpu"), Sample(1, 2, 1, 3))
        assert set(still.describe()) == {"one click", "three clicks"}


class TestResult:
    def test_it_is_listed_and_loads_by_name(self, models, tmp_path):
        options = replace(OPTIONS, name="my-disks", steps=1)
        refuse_taken("my-disks", overwrite=False)
        outcome = fine_tune(options, lessons(), tmp_path / "run")
        report = Report(Figures(0.5, 0.6, 0.7, float("nan")), Figures(0.6, 0.7, 0.8, float("nan")))
        path = publish(options, lessons(), outcome, report)
        assert "my-disks" in available_models()
        loaded = load_model("my-disks")
        assert not changed(weights(outcome.model), weights(loaded))
        assert loaded.config.follows_by_default
        text = path.with_suffix(".md").read_text()
        assert "| one click | 0.500 | 0.600 |" in text
        assert "disks" in text
        assert "Fine-tuned from `bundled`" in text
        with pytest.raises(FileExistsError, match="my-disks"):
            refuse_taken("my-disks", overwrite=False)
        # It can be the start of another one.
        again = fine_tune(replace(options, start="my-disks"), lessons(), tmp_path / "again")
        assert again.standing.step == 1

    @pytest.mark.parametrize("name", ["bundled", "sam2.1-tiny", "a/b", "", ".hidden"])
    def test_names_that_cannot_be(self, name):
        with pytest.raises(ValueError, match=r"name of a published|no name for a network"):
            replace(OPTIONS, name=name)


def test_windows_are_enlarged_for_networks_that_see_more():
    batch = SparseClips([disks()]).batch(np.random.default_rng(0), 1, 2, 2)
    images, masks = fit_to(batch, 512)
    assert images.shape == (1, 2, 3, 512, 512)
    assert masks.shape == (1, 2, 2, 512, 512)
    covered = float(batch.masks.float().mean())
    assert float(masks.float().mean()) == pytest.approx(covered, rel=0.05)
    assert fit_to(batch, 256)[0] is batch.images
