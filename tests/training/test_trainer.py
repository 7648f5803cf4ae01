"""The training loop on a tiny network and made-up clips: it learns, stops, goes on, exports."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_sam2.model.config import PRESETS, SAM2Config
from napari_sam2.model.sam2 import SAM2
from napari_sam2.training import trainer as trainer_module
from napari_sam2.training.blobs import random_blobs
from napari_sam2.training.checkpointing import Mix, export_average, read_options
from napari_sam2.training.clips import Clip
from napari_sam2.training.muon import Muon
from napari_sam2.training.optimiser import make_optimiser, set_rate
from napari_sam2.training.options import TrainOptions, second_stage
from napari_sam2.training.schedule import (
    choose_plan,
    choose_stream,
    learning_rate,
    loss_weights,
    progress,
)
from napari_sam2.training.trainer import TrainData, Trainer
from napari_sam2.training.unroll import Plan, Step, Unroller, true_score

OPTIONS = TrainOptions(
    minutes=0.0,
    max_steps=8,
    blob_steps=1,
    still_batch=2,
    still_objects=2,
    clip_frames=4,
    clip_objects=2,
    long_frames=4,
    data_workers=0,
    log_steps=2,
    ema_decay=0.5,
)


def tiny() -> SAM2Config:
    bundled = PRESETS["bundled"]
    hiera = replace(
        bundled.hiera, embed_dim=16, stages=(1, 1, 1, 1), global_blocks=(2,), window_spec=(4,) * 4
    )
    return replace(
        bundled, hiera=hiera, input_size=64, hidden_dim=64, memory_ffn=64, decoder_mlp=64
    )


class MovingBlobs:
    """Source of 64-pixel clips: bright ellipses that drift over a dark ground."""

    name = "blobs"

    def sample_clip(self, rng: np.random.Generator, num_frames: int, num_objects: int) -> Clip:
        first = random_blobs(rng, num_objects, (64, 64))  # (N, H, W)
        masks = torch.stack([first.roll(t, dims=2) for t in range(num_frames)])
        images = 0.1 + 0.8 * masks.any(1, keepdim=True).float().repeat(1, 3, 1, 1)
        return Clip(images, masks, torch.ones(num_frames, dtype=torch.bool), self.name)


def make(folder: Path, options: TrainOptions = OPTIONS) -> Trainer:
    return Trainer(tiny(), options, TrainData([MovingBlobs()], [1.0]), folder)  # type: ignore[list-item]


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    trainer = make(tmp_path_factory.mktemp("whole"))
    trainer.train()
    return trainer


def test_a_resumed_run_equals_an_uninterrupted_one(whole_run: Trainer, tmp_path: Path) -> None:
    make(tmp_path).train(stop_after=5)
    second = make(tmp_path)
    assert second.resume()
    state = second.train()
    assert state.step == whole_run.state.step == 8
    assert state.consumed == whole_run.state.consumed
    expected = weights(whole_run)
    for name, value in weights(second).items():
        assert torch.equal(value, expected[name]), name
    for one, other in zip(second.average.parameters(), whole_run.average.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_moves_the_weights_and_writes_its_log(whole_run: Trainer) -> None:
    start = weights(make(whole_run.folder / "fresh"))
    end = weights(whole_run)
    moved = [name for name in start if not torch.equal(start[name], end[name])]
    # Position codes are fixed, and one embedding exists only for the official checkpoints.
    assert len(moved) > 0.95 * len(start)
    rows = (whole_run.folder / "steps.csv").read_text().splitlines()
    assert rows[0].startswith("step,elapsed,rate")
    assert any("still" in row for row in rows)
    assert any("pair" in row or "quad" in row for row in rows)


def test_the_log_is_on_the_tensorboard_too(whole_run: Trainer) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is an extra")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of protobuf, inside TensorBoard's reader
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(whole_run.folder / "tensorboard"))
        events.Reload()
        names = events.Tags()["scalars"]
        rates = events.Scalars("run/rate")
    assert any(name.startswith("train/still-") and name.endswith("/dice") for name in names)
    assert [event.step for event in rates] == [2, 4, 6, 8]


def test_resuming_without_a_checkpoint_starts_afresh(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    assert not trainer.resume()
    assert trainer.state.step == 0


def test_a_run_starts_from_the_average_of_another(whole_run: Trainer, tmp_path: Path) -> None:
    options = replace(OPTIONS, reset_presence=True)
    checkpoint = whole_run.folder / "checkpoint.pt"
    exported = export_average(whole_run.folder, tmp_path / "w.safetensors", "bundled", "2.1")
    average = whole_run.average.state_dict()
    for path, tolerance in ((checkpoint, 0.0), (exported, 1e-3)):
        trainer = make(tmp_path / path.suffix, options)
        trainer.start_from(path)
        for name, value in weights(trainer).items():
            if "pred_obj_score_head" not in name:
                assert torch.allclose(value, average[name], atol=tolerance, rtol=tolerance), name
        for one, other in zip(
            trainer.average.parameters(), trainer.model.parameters(), strict=True
        ):
            assert torch.equal(one, other)
        last = trainer.model.sam_mask_decoder.pred_obj_score_head.layers[-1]
        assert float(last.bias.detach()) == 2.0


def test_weights_of_another_network_are_refused(whole_run: Trainer, tmp_path: Path) -> None:
    larger = replace(tiny(), hidden_dim=128)
    trainer = Trainer(larger, OPTIONS, whole_run.data, tmp_path)
    with pytest.raises(ValueError, match="another network"):
        trainer.start_from(whole_run.folder / "checkpoint.pt")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        trainer.start_from(tmp_path / "nowhere.safetensors")
    (tmp_path / "checkpoint.pt").write_bytes((whole_run.folder / "checkpoint.pt").read_bytes())
    with pytest.raises(ValueError, match="another configuration"):
        trainer.resume()


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(
    whole_run: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(tmp_path)
    trainer.save()
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def fill_the_disk(_: object, path: Path) -> None:
        path.write_bytes(b"a part of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="the last one stays"):
        trainer.save()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_the_encoder_learns_slower_towards_its_input() -> None:
    model = SAM2(tiny())
    optimiser = make_optimiser(model, replace(OPTIONS, layer_decay=0.5))
    set_rate(optimiser, 1.0)
    rate = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    named = {name: rate[id(p)] for name, p in model.named_parameters()}
    blocks = [named[f"image_encoder.trunk.blocks.{i}.norm1.weight"] for i in range(4)]
    assert blocks == [1 / 16, 1 / 8, 1 / 4, 1 / 2]
    assert named["image_encoder.trunk.patch_embed.proj.weight"] == 1 / 32
    assert named["image_encoder.neck.convs.0.conv.weight"] == 1.0
    assert named["sam_mask_decoder.iou_token.weight"] == 1.0


def test_matrices_are_turned_by_muon_and_everything_learns_once() -> None:
    model = SAM2(tiny())
    turned, others = make_optimiser(model, OPTIONS).parts
    learning = [p for part in (turned, others) for g in part.param_groups for p in g["params"]]
    assert sorted(map(id, learning)) == sorted(map(id, model.parameters()))
    assert isinstance(turned, Muon)
    assert all(p.dim() == 2 for g in turned.param_groups for p in g["params"])
    assert len(make_optimiser(model, replace(OPTIONS, muon=False)).parts) == 1


def test_options_of_a_run_are_read_back(whole_run: Trainer) -> None:
    assert read_options(whole_run.folder) == OPTIONS


def test_export_is_half_precision_and_loads_strictly(whole_run: Trainer, tmp_path: Path) -> None:
    target = export_average(whole_run.folder, tmp_path / "w.safetensors", "bundled", "2.1")
    with safe_open(target, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert metadata["config"] == "bundled"
    assert metadata["steps"] == "8"
    assert all(t.dtype == torch.float16 for t in tensors.values())
    model = SAM2(tiny())
    model.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=True)
    average = whole_run.average.state_dict()
    for name, value in model.state_dict().items():
        assert torch.allclose(value, average[name], atol=1e-3, rtol=1e-3), name


def test_export_may_mix_a_run_with_what_it_started_from(whole_run: Trainer, tmp_path: Path) -> None:
    alone = export_average(whole_run.folder, tmp_path / "alone.safetensors", "bundled", "2.1")
    start = tmp_path / "start.safetensors"
    begun = {name: value.half() for name, value in make(tmp_path).average.state_dict().items()}
    save_file(begun, start)
    mix, target = Mix(start, 0.75), tmp_path / "mixed.safetensors"
    export_average(whole_run.folder, target, "bundled", "2.1", 0.5, mix)
    mixed, learned = load_file(target), load_file(alone)
    presence = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"
    for name, value in mixed.items():
        wanted = 0.25 * begun[name].float() + 0.75 * learned[name].float()
        wanted = wanted + 0.5 * (name == presence)
        assert torch.allclose(value.float(), wanted, atol=2e-3, rtol=2e-3), name


def test_only_weights_of_one_network_are_mixed(whole_run: Trainer, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, other)
    with pytest.raises(ValueError, match=r"other\.safetensors holds weights of another network"):
        export_average(whole_run.folder, tmp_path / "w", "bundled", "2.1", mix=Mix(other, 0.5))
    with pytest.raises(ValueError, match=r"share=1\.5"):
        Mix(other, 1.5)


def test_export_of_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.pt"):
        export_average(tmp_path, tmp_path / "w.safetensors", "bundled", "2.1")


class OneClip(MovingBlobs):
    """The same clip for ever."""

    def sample_clip(self, rng: np.random.Generator, num_frames: int, num_objects: int) -> Clip:
        return super().sample_clip(np.random.default_rng(5), num_frames, num_objects)


def test_training_learns_one_picture(tmp_path: Path) -> None:
    options = replace(OPTIONS, max_steps=40, blob_steps=0, still_share=1.0, pair_share=0.0)
    options = replace(options, still_objects=1, learning_rate=2e-3, log_steps=10, bf16=False)
    data = TrainData([OneClip()], [1.0])  # type: ignore[list-item]
    Trainer(tiny(), options, data, tmp_path).train()
    rows = [line.split(",") for line in (tmp_path / "steps.csv").read_text().splitlines()]
    column = rows[0].index("dice0")
    first, last = (
        np.mean([float(r[column]) for r in rows[1:] if r[0] == step and r[column]])
        for step in ("10", "40")
    )
    assert last < 0.5 * first


def test_a_stopped_run_ends_after_its_step_and_is_saved(tmp_path: Path) -> None:
    trainer = make(tmp_path)
    trainer.stop()
    assert trainer.train().step == 0
    assert make(tmp_path).resume()


@pytest.mark.parametrize("kind", ["mask", "click", "box"])
def test_every_frame_is_answered(kind: str) -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 3, 2)
    unroller = Unroller(SAM2(tiny()), torch.Generator().manual_seed(0))
    plan = Plan(kind, corrected_frame=1)  # type: ignore[arg-type]
    steps = unroller.run(clip.images[None], clip.masks[None], clip.annotated[None], plan)
    # A mask is its own answer; the corrected frame answers before and after its click.
    first = [] if kind == "mask" else [0]
    assert [step.frame for step in steps] == [*first, 1, 1, 2]
    assert all(step.answer.logits.shape == (2, 4, 16, 16) for step in steps)
    assert all(torch.equal(step.truth, clip.masks[step.frame]) for step in steps)


@pytest.mark.parametrize(("kind", "answers"), [("click", 3), ("box", 2)])
def test_only_a_click_is_asked_again_with_its_box(kind: str, answers: int) -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 2, 2)
    model = SAM2(tiny())
    asked: list[list[int]] = []
    encode = model.encode_prompts

    def note(points, labels, *args, **options):
        asked.append([] if labels is None else labels[0].tolist())
        return encode(points, labels, *args, **options)

    model.encode_prompts = note  # type: ignore[method-assign]
    unroller = Unroller(model, torch.Generator().manual_seed(0))
    plan = Plan(kind, asked_again=True)  # type: ignore[arg-type]
    steps = unroller.run(clip.images[None], clip.masks[None], clip.annotated[None], plan)
    assert [step.frame for step in steps] == [*[0] * (answers - 1), 1]
    assert asked == ([[1], [2, 3, 1, 1], []] if kind == "click" else [[2, 3], []])


def test_a_resting_encoder_gets_no_gradient_and_the_memory_does() -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 3, 2)
    model = SAM2(tiny())
    unroller = Unroller(model, torch.Generator().manual_seed(0))
    plan = Plan("mask", corrected_frame=2, corrections=3, encoder_learns=False)
    steps = unroller.run(clip.images[None], clip.masks[None], clip.annotated[None], plan)
    assert [step.frame for step in steps] == [1, 2, 2, 2, 2]
    steps[-1].answer.logits.sum().backward()
    assert all(p.grad is None for p in model.image_encoder.parameters())
    assert any(p.grad is not None for p in model.memory_attention.parameters())


def test_a_resting_memory_says_the_same_and_gets_no_gradient() -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 3, 2)
    given = clip.images[None], clip.masks[None], clip.annotated[None]
    model = SAM2(tiny()).eval()
    plan = Plan("click", corrected_frame=2, corrections=1, encoder_learns=False)
    learning = Unroller(model, torch.Generator().manual_seed(0)).run(*given, plan)
    resting = Unroller(model, torch.Generator().manual_seed(0), memory_learns=False)
    model.image_encoder.requires_grad_(False)
    with torch.no_grad():
        maps = resting.encode(given[0])
    steps = resting.run(*given, plan, maps)
    for one, other in zip(learning, steps, strict=True):
        torch.testing.assert_close(one.answer.logits, other.answer.logits)
    sum(step.answer.logits.sum() for step in steps).backward()
    assert all(p.grad is None for p in model.memory_attention.parameters())
    assert all(p.grad is None for p in model.memory_encoder.parameters())
    assert any(p.grad is not None for p in model.sam_mask_decoder.parameters())


def test_a_teacher_says_what_it_makes_of_frames_without_a_prompt() -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 3, 2)
    model, teacher = SAM2(tiny()).eval(), SAM2(tiny()).eval()
    plan = Plan("click", corrected_frame=2, corrections=1, encoder_learns=False)
    given = clip.images[None], clip.masks[None], clip.annotated[None], plan

    def steps(of: SAM2) -> list[Step]:
        unroller = Unroller(model, torch.Generator().manual_seed(0), False, of)
        with torch.no_grad():
            return unroller.run(*given)

    told = [(step.frame, step.before is not None) for step in steps(teacher)]
    assert told == [(0, False), (1, True), (2, True), (2, False)]
    for step in steps(model):
        if step.before is not None:
            torch.testing.assert_close(step.before.logits, step.answer.logits)
            torch.testing.assert_close(step.before.object_score, step.answer.object_score)
    assert not any(
        torch.equal(step.before.logits, step.answer.logits)
        for step in steps(teacher)
        if step.before is not None
    )


def test_objects_that_are_not_on_the_first_frame_are_left_out() -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 2, 3)
    clip.masks[0, 1] = False
    unroller = Unroller(SAM2(tiny()), torch.Generator().manual_seed(0))
    steps = unroller.run(clip.images[None], clip.masks[None], clip.annotated[None], Plan("click"))
    assert all(torch.equal(s.truth, clip.masks[s.frame, [0, 2]]) for s in steps)


def test_later_frames_train_the_memory() -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 2, 2)
    model = SAM2(tiny())
    unroller = Unroller(model, torch.Generator().manual_seed(0))
    steps = unroller.run(clip.images[None], clip.masks[None], clip.annotated[None], Plan("mask"))
    steps[-1].answer.logits.sum().backward()
    for part in (model.memory_attention, model.memory_encoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_memories_move_with_their_objects_where_motion_is_told() -> None:
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 3, 2)
    model = SAM2(tiny()).eval()

    def scores(annotated: torch.Tensor, told: bool) -> torch.Tensor:
        unroller = Unroller(model, torch.Generator().manual_seed(0))
        plan = Plan("mask", motion_told=told)
        with torch.no_grad():
            steps = unroller.run(clip.images[None], clip.masks[None], annotated[None], plan)
        return steps[-1].answer.logits

    assert not torch.equal(scores(clip.annotated, True), scores(clip.annotated, False))
    # Where not every frame is annotated, nobody knows the way.
    sparse = torch.tensor([True, False, True])
    assert torch.equal(scores(sparse, True), scores(sparse, False))


def test_memory_alone_can_be_taught(tmp_path: Path) -> None:
    options = replace(OPTIONS, memory_only=True, still_share=0.0, pair_share=0.0, still_mix=0.0)
    trainer = Trainer(tiny(), options, TrainData([MovingBlobs()], [1.0]), tmp_path)  # type: ignore[list-item]
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train(stop_after=3)
    after = trainer.model.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    parts = {".".join(name.split(".")[:2]) for name in moved}
    assert {name.split(".")[0] for name in moved} >= {"memory_attention", "memory_encoder"}
    assert "sam_mask_decoder.pred_obj_score_head" in parts
    assert not any(part.startswith(("image_encoder", "sam_prompt", "no_mem")) for part in parts)
    assert not {part for part in parts if part.startswith("sam_mask_decoder")} - {
        "sam_mask_decoder.pred_obj_score_head"
    }


def test_the_rate_rises_then_falls_in_one_cosine() -> None:
    options = TrainOptions(warmup=0.1)
    rates = [learning_rate(options, done) for done in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert peak == 10
    assert rates[peak] == pytest.approx(options.learning_rate)
    assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
    assert rates[-1] == pytest.approx(options.learning_rate * options.final_rate)


def test_progress_is_by_time_or_by_steps() -> None:
    assert progress(TrainOptions(minutes=10), 5, 300.0) == 0.5
    assert progress(OPTIONS, 2, 1e9) == 0.25


def test_phases_follow_one_another_and_keep_stills() -> None:
    rng, options = np.random.default_rng(0), TrainOptions()

    def shares(done: float) -> dict[str, float]:
        names = [choose_stream(options, done, rng) for _ in range(500)]
        return {name: names.count(name) / 500 for name in set(names)}

    assert shares(0.2) == {"still": 1.0}
    assert set(shares(0.55)) == {"still", "pair"}
    assert set(shares(0.9)) == {"still", "pair", "quad", "long"}
    assert shares(0.9)["still"] == pytest.approx(options.still_mix, abs=0.07)


def test_stills_never_start_from_a_mask_and_clips_often_do() -> None:
    rng, options = np.random.default_rng(0), TrainOptions()
    stills = [choose_plan(options, 1, rng) for _ in range(300)]
    clips = [choose_plan(options, 4, rng) for _ in range(300)]
    assert {plan.kind for plan in stills} == {"click", "box"}
    assert sum(plan.kind == "mask" for plan in clips) / 300 == pytest.approx(0.5, abs=0.1)
    assert {plan.corrected_frame for plan in clips} == {None, 1, 2, 3}
    assert {plan.corrections for plan in clips if plan.corrected_frame} == {1, 2, 3}
    assert max(plan.first_clicks for plan in stills) == 7
    assert all(plan.encoder_learns for plan in stills)
    resting = sum(not plan.encoder_learns for plan in clips) / len(clips)
    assert resting == pytest.approx(options.encoder_rest, abs=0.1)


def test_a_share_of_first_clicks_is_asked_again_and_nothing_else() -> None:
    def plans(asked_again: float, num_frames: int) -> list[Plan]:
        rng = np.random.default_rng(0)
        options = TrainOptions(asked_again=asked_again)
        return [choose_plan(options, num_frames, rng) for _ in range(400)]

    for num_frames in (1, 4):
        half = plans(0.5, num_frames)
        assert all(plan.kind == "click" for plan in half if plan.asked_again)
        clicked = [plan.asked_again for plan in half if plan.kind == "click"]
        assert np.mean(clicked) == pytest.approx(0.5, abs=0.12)
        assert all(plan.asked_again for plan in plans(1.0, num_frames) if plan.kind == "click")
        assert not any(plan.asked_again for plan in plans(0.0, num_frames))


def test_focal_loss_and_fine_contours_come_late() -> None:
    options = TrainOptions()
    early, late = loss_weights(options, 0.1, 1), loss_weights(options, 0.95, 1)
    assert (early.focal, early.balanced, early.upsample) == (0.0, 1.0, 1)
    assert (late.focal, late.upsample) == (20.0, 2)
    # Weights that were learned already get everything at once.
    assert loss_weights(second_stage(), 0.0, 1).focal == 20.0


def test_presence_is_not_learned_where_the_object_is_always_there() -> None:
    options = TrainOptions()
    assert loss_weights(options, 0.1, 1).presence == 0.0
    still, clip = loss_weights(options, 0.9, 1), loss_weights(options, 0.9, 8)
    assert 0 < still.presence < 0.2 * clip.presence
    assert clip.absent > 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": -1.0}, "learning_rate=-1.0 is outside"),
        ({"minutes": 0.0}, "set one of them"),
        ({"still_share": 1.5}, "still_share=1.5"),
    ],
)
def test_options_out_of_bounds_are_named(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainOptions(**values)  # type: ignore[arg-type]


def test_memory_follows_the_truth_where_it_is_told_and_known() -> None:
    truth = torch.zeros(3, 8, 8, dtype=torch.bool)
    truth[0, 2:4, 2:4] = True
    score = true_score(truth, torch.tensor([True, True, False]))
    assert score[:2, 0].tolist() == [10.0, -10.0]
    assert bool(score[2].isnan())
    clip = MovingBlobs().sample_clip(np.random.default_rng(0), 2, 2)
    clip.masks[1, 0] = False
    model = SAM2(tiny())
    # A network that believes in nothing tracks nothing, unless it is told.
    last = model.sam_mask_decoder.pred_obj_score_head.layers[-1]
    torch.nn.init.constant_(last.bias, -50.0)
    seen = {}
    for told in (False, True):
        unroller = Unroller(model, torch.Generator().manual_seed(0))
        plan = Plan("mask", presence_told=told)
        steps = unroller.run(clip.images[None], clip.masks[None], clip.annotated[None], plan)
        seen[told] = (steps[-1].logits.amax((1, 2, 3)) > -1000).tolist()
        assert bool((steps[-1].answer.object_score < -10).all())
    assert seen == {False: [False, False], True: [False, True]}


def test_what_makes_clips_is_started_before_the_network_learns(tmp_path, monkeypatch) -> None:
    # A process that is forked later keeps a copy of all that the network held by then.
    order: list[object] = []
    opened, step = trainer_module.clip_batches, Trainer._step
    monkeypatch.setattr(
        trainer_module,
        "clip_batches",
        lambda *a, **k: order.append(k["num_frames"]) or opened(*a, **k),
    )
    monkeypatch.setattr(Trainer, "_step", lambda self: order.append("step") or step(self))
    make(tmp_path).train(stop_after=3)
    assert sorted(order[:4]) == [1, 2, 4, 4]
    assert order[4:] == ["step"] * 3
