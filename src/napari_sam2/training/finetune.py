"""Fine-tuning: a network learns from the movies that its user has annotated or corrected.

The lesson is that of the bundled network (its windows, prompts and losses), the loop a small one:
no phases, because the network knows the task; an average of the weights; the best of them by
validation; and a limit in minutes, because somebody is waiting.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.sam2 import SAM2
from napari_sam2.training.distillation import kept_loss
from napari_sam2.training.finetune_data import Lessons, SparseClips, count_masks
from napari_sam2.training.finetune_learner import Learner, choose_runtime
from napari_sam2.training.finetune_measure import Figures, Sample, measure
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.finetune_rounds import has_time, steps_of_a_round
from napari_sam2.training.finetune_state import (
    CHECKPOINT,
    Standing,
    load_checkpoint,
    save_checkpoint,
)
from napari_sam2.training.finetune_windows import PROMPTS, Seen, Windows, quick_attention
from napari_sam2.training.losses import answer_loss
from napari_sam2.training.options import TrainOptions, second_stage
from napari_sam2.training.prompt_simulation import torch_generator
from napari_sam2.training.run_log import append_row
from napari_sam2.training.schedule import LossWeights, choose_plan, loss_weights, step_random
from napari_sam2.training.unroll import Step, Unroller

__all__ = ["FineTuning", "Outcome", "Progress", "fine_tune"]

_WARMUP, _FINAL_RATE = 0.04, 0.05
_CHECKPOINT_SECONDS = 120.0
_LOG_STEPS = 10
#: Weight of staying as it was on frames without a prompt, over that of learning where there is one.
_KEPT = 4.0
#: What is asked while training goes on; a report may ask more.
_ON_THE_WAY = Sample(objects=16, followed=6, starts=1, frames=6)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run says as it goes: after every step, and after every validation.

    Attributes
    ----------
    step : int
    elapsed : float
        Seconds spent so far.
    done : float
        Share of the run that is behind, 0 to 1.
    loss : float
        Of the last steps, averaged; NaN before the first.
    figures : Figures or None
        Of a validation just done.
    note : str
        What else the user should know; mostly empty.
    """

    step: int
    elapsed: float
    done: float
    loss: float
    figures: Figures | None = None
    note: str = ""


Watch = Callable[[Progress], bool | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes
    ----------
    model : SAM2
        A plain network, adapters merged, on the CPU: the best one by validation, or the last one
        where nothing validates.
    standing : Standing
    is_complete : bool
        False if the run was stopped and can be gone on with.
    """

    model: SAM2
    standing: Standing
    is_complete: bool


def fine_tune(
    options: FineTuneOptions,
    lessons: Lessons,
    folder: Path,
    watch: Watch | None = None,
    *,
    resume: bool = False,
) -> Outcome:
    """Train a network on annotated movies; see `FineTuning`.

    Parameters
    ----------
    options : FineTuneOptions
    lessons : Lessons
        As `read_lessons` returns them.
    folder : Path
        Where the checkpoint and the tables of the run are written.
    watch : callable, optional
        Called after every step; True stops the run there.
    resume : bool
        Go on from the folder's checkpoint, which has to be there.

    Returns
    -------
    Outcome
    """
    run = FineTuning(options, lessons, folder, watch)
    if resume:
        run.resume()
    return run.train()


@dataclass
class FineTuning:
    """One run in one folder. It can run on any thread; `stop` may be called from another.

    Parameters
    ----------
    options : FineTuneOptions
    lessons : Lessons
    folder : Path
        Made if it is not there.
    watch : callable, optional
        Called with a `Progress`; True stops the run.
    clock : callable
        Seconds that `minutes` are counted in.

    Raises
    ------
    ValueError
        If there is nothing to learn from or the network to start from cannot be loaded.
    OSError
        If the disk has no room for a checkpoint.
    """

    options: FineTuneOptions
    lessons: Lessons
    folder: Path
    watch: Watch | None = None
    clock: Callable[[], float] = time.perf_counter
    standing: Standing = field(init=False, default_factory=Standing)

    def __post_init__(self) -> None:
        """Check everything that can be checked before the first step."""
        self.runtime = choose_runtime(self.options)
        clips = SparseClips(self.lessons.train)
        clips.batch(np.random.default_rng(0), 1, 1, 1)
        self._data = self.lessons.fingerprint()
        self._round_steps = steps_of_a_round(self.options, count_masks(self.lessons.train))
        model = load_model(self.options.start).train()
        self.learner = Learner.of(model.to(self.runtime.device), self.options)
        # How objects are followed is not to be learned where the memory rests, nor forgotten.
        self._teacher = None
        if not self.learner.memory_learns:
            self._teacher = load_model(self.options.start).to(self.runtime.device)
        self.folder.mkdir(parents=True, exist_ok=True)
        _check_room(self.folder, 20 * self.learner.count())
        self._losses: list[float] = []
        self._windows = Windows(clips, self.options, self.learner, self.runtime)
        self._is_stopping = False
        self._saved = self._unsaved = 0.0

    def resume(self) -> None:
        """Go on from the folder's checkpoint; raises if there is none or it is of another run."""
        self.standing = load_checkpoint(self.folder, self.learner, self.options, self._data)

    @property
    def has_checkpoint(self) -> bool:
        """Whether the folder holds a run already."""
        return (self.folder / CHECKPOINT).is_file()

    def stop(self) -> None:
        """End the run after the step under way; it is saved and can be gone on with."""
        self._is_stopping = True

    def train(self) -> Outcome:
        """Train until the time or the steps are spent, or validation gains nothing any more.

        Raises
        ------
        OSError
            If the last checkpoint cannot be written; the one before it is kept.
        """
        # Gradients that fade out pass through the slow range of the processor's numbers.
        torch.set_flush_denormal(True)
        if self.standing.before is None and self.lessons.validation:
            self.standing.before = self.standing.best = self._measure()
            self._tell(figures=self.standing.before)
        self._go_around()
        while self._done() < 1.0 and not self._is_stopping and not self._has_settled():
            self._timed(self._step)
            self._tell()
            self._go_around()
            if self._is_due():
                self._timed(self._validate)
            if self.standing.elapsed - self._saved >= _CHECKPOINT_SECONDS:
                self._save_on_the_way()
        is_complete = not self._is_stopping
        if is_complete and self.lessons.validation and self.standing.measured == 0:
            self._timed(self._validate)
        self._save()
        best = self.standing.best_weights
        if best is None and self.standing.before is None:
            best = self._learned()
        merged = self.learner.merged(best or self._start())
        return Outcome(merged.to("cpu"), self.standing, is_complete)

    def _start(self) -> dict[str, torch.Tensor]:
        """Return the parameters that the run began with, for one that gained nothing."""
        plain = load_model(self.options.start).to(self.runtime.device)
        fresh = Learner.of(plain, self.options)
        return fresh.averaged()

    def _done(self) -> float:
        options, standing = self.options, self.standing
        spent = standing.elapsed / (60 * options.minutes) if options.minutes > 0 else 0.0
        counted = standing.step / options.steps if options.steps > 0 else 0.0
        return 1.0 if standing.rounds.is_resting else min(1.0, max(spent, counted))

    def _round_done(self) -> float:
        """Return the part of the present round that is over; of the run where that is one."""
        if self._round_steps == 0:
            return self._done()
        return self.standing.rounds.done(*self._course())

    def _course(self) -> tuple[int, float, float, float]:
        """Return steps and seconds so far, steps of a round, seconds of the run."""
        standing = self.standing
        return standing.step, standing.elapsed, self._round_steps, 60 * self.options.minutes

    def _go_around(self) -> None:
        """End a round that is over, and begin another one if there is time."""
        standing, rounds = self.standing, self.standing.rounds
        if self._round_steps == 0 or standing.step == 0 or self._round_done() < 1.0:
            return
        if not rounds.is_resting:
            rounds.end(self.learner.averaged())
        if has_time(*self._course()):
            rounds.begin(standing.step, standing.elapsed)
            model = load_model(self.options.start).train()
            self.learner = Learner.of(model.to(self.runtime.device), self.options)
            self._windows.learner = self.learner

    def _learned(self) -> dict[str, torch.Tensor]:
        return self.standing.rounds.so_far(self.learner.averaged(), self._round_done())

    def _has_settled(self) -> bool:
        patience = self.options.patience
        return patience > 0 and self.standing.without_gain >= patience

    def _is_due(self) -> bool:
        due = (self.standing.measured + 1) / self.options.validations
        return bool(self.lessons.validation) and self._done() >= due

    def _timed(self, act: Callable[[], None]) -> None:
        started = self.clock()
        act()
        self.standing.elapsed += self.clock() - started

    def _step(self) -> None:
        """Do one step: windows, prompts, the loss, the update."""
        options, step = self.options, self.standing.step
        loss = self._loss(self._windows.of_step(step), step_random(options.seed, step, PROMPTS))
        self.standing.step += 1
        if loss is None:
            return
        loss.backward()
        rate = options.learning_rate * _rate_at(self._round_done())
        if self.learner.update(rate, options, step - self.standing.rounds.first_step):
            self._losses.append(float(loss.detach()))
        if self.standing.step % _LOG_STEPS == 0:
            row = {"step": self.standing.step, "seconds": self.standing.elapsed, "rate": rate}
            self._note_row("steps.csv", row | {"loss": self._mean_loss()})

    def _loss(self, seen: Seen, rng: np.random.Generator) -> torch.Tensor | None:
        """Return the mean loss of all answers on annotated frames, None without any."""
        recipe, device = _recipe(), self.runtime.device
        num_frames = seen.images.shape[1]
        plan = choose_plan(recipe, num_frames, rng)
        weights = loss_weights(recipe, 1.0, num_frames)
        with quick_attention(self.learner.model, device):
            unroller = Unroller(
                self.learner.model,
                torch_generator(rng, device),
                self.learner.memory_learns,
                self._teacher,
            )
            with self.runtime.autocast():
                steps = unroller.run(seen.images, seen.masks, seen.annotated, plan, seen.maps)
            found = [_step_loss(step, weights) for step in steps]
        losses = [loss for loss in found if loss is not None]
        return torch.stack(losses).mean() if losses else None

    def _measure(self, weights: dict[str, torch.Tensor] | None = None) -> Figures:
        model = self.learner.average if weights is None else self.learner.merged(weights)
        runtime = type(self.runtime)(self.runtime.device)
        return measure(model, self.lessons.validation, runtime, _ON_THE_WAY)

    def _validate(self) -> None:
        """Measure what was learned and keep it if it is the best so far."""
        standing = self.standing
        learned = self._learned()
        figures = self._measure(learned)
        standing.measured = max(
            standing.measured + 1, math.floor(self._done() * self.options.validations)
        )
        # The mean of more rounds is less of chance than what a few objects say of it.
        best = standing.before if standing.rounds.finished else standing.best
        if best is None or not figures.score() <= best.score():
            standing.best, standing.without_gain = figures, 0
            standing.best_weights = learned
        else:
            standing.without_gain += 1
        row = {"step": standing.step, "seconds": standing.elapsed} | figures.describe()
        self._note_row("validation.csv", row)
        self._tell(figures=figures)

    def _save(self) -> None:
        save_checkpoint(self.folder, self.standing, self.learner, self.options, self._data)
        self._saved = self.standing.elapsed

    def _save_on_the_way(self) -> None:
        """Save, and go on in memory if the disk is full: it may have room at the end."""
        try:
            self._save()
        except OSError as error:
            self._saved = self.standing.elapsed
            self._tell(note=f"not saved: {error}")

    def _note_row(self, name: str, row: dict[str, float]) -> None:
        try:
            append_row(self.folder / name, row)
        except OSError as error:
            self._tell(note=f"{name} was not written: {error}")

    def _tell(self, figures: Figures | None = None, note: str = "") -> None:
        if self.watch is not None:
            standing = self.standing
            told = Progress(
                standing.step, standing.elapsed, self._done(), self._mean_loss(), figures, note
            )
            self._is_stopping |= bool(self.watch(told))

    def _mean_loss(self) -> float:
        recent = self._losses[-50:]
        return float(np.mean(recent)) if recent else float("nan")


def _step_loss(step: Step, weights: LossWeights) -> torch.Tensor | None:
    """Return the loss of one answer: against the teacher's where there is one, else the truth."""
    if step.before is not None:
        return _KEPT * kept_loss(step.answer, step.before)
    rows = step.annotated.nonzero()[:, 0]
    if len(rows) == 0:
        return None
    return answer_loss(step.answer.rows(rows), step.truth[rows], weights).total


def _recipe() -> TrainOptions:
    """Return the losses and prompts of a lesson; every first click is asked again."""
    return replace(second_stage(), asked_again=1.0)


def _rate_at(done: float) -> float:
    """Return the share of the peak rate: a short rise, then one cosine."""
    if done < _WARMUP:
        return 0.1 + 0.9 * done / _WARMUP
    along = (done - _WARMUP) / (1.0 - _WARMUP)
    return _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * along))


def _check_room(folder: Path, needed: int) -> None:
    """Refuse to start where a checkpoint would not fit, the old and the new one side by side."""
    free = shutil.disk_usage(folder).free
    if 2 * needed > free:
        raise OSError(
            f"a checkpoint needs {needed / 2**20:.0f} MiB, two of them have to fit, and "
            f"{free / 2**20:.0f} MiB are free in {folder}: make room or choose another folder"
        )
