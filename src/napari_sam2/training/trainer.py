"""The training loop: one network, one cosine, phases by elapsed time, resumable to the step."""

from __future__ import annotations

import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam2.model.sam2 import SAM2
from napari_sam2.training.affinity import AffinityHead, affinity_loss
from napari_sam2.training.blobs import with_blobs
from napari_sam2.training.checkpointing import (
    CHECKPOINT,
    Learners,
    RunState,
    average_weights,
    load_run,
    load_start,
    save_run,
    write_options,
)
from napari_sam2.training.clips import clip_batches
from napari_sam2.training.initialise import expect_objects, initialise
from napari_sam2.training.losses import answer_loss
from napari_sam2.training.optimiser import make_optimiser, set_rate
from napari_sam2.training.precision import autocast
from napari_sam2.training.prompt_simulation import torch_generator
from napari_sam2.training.run_log import RunLog
from napari_sam2.training.schedule import (
    LossWeights,
    choose_plan,
    choose_stream,
    learning_rate,
    loss_weights,
    progress,
    step_random,
    streams,
)
from napari_sam2.training.unroll import Plan, Step, Unroller
from napari_sam2.training.validation import Figures, ValidationSet, summary, validate

if TYPE_CHECKING:
    from napari_sam2.model.config import SAM2Config
    from napari_sam2.model.outputs import ImageFeatures
    from napari_sam2.training.clips import ClipBatch, ClipSource
    from napari_sam2.training.options import TrainOptions

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainData:
    """What a run learns from and is measured on.

    Attributes
    ----------
    sources, weights : lists
        As `clip_batches` takes them.
    held_back : ValidationSet or None
        None never validates.
    """

    sources: list[ClipSource]
    weights: list[float]
    held_back: ValidationSet | None = None


@dataclass
class Trainer:
    """One run in one folder.

    Attributes
    ----------
    config : SAM2Config
        Shape of the network.
    options : TrainOptions
    data : TrainData
    folder : Path
        Checkpoint, options and tables are written here.
    say : callable
        Takes a line about what happened.
    device : torch.device
        Where the network learns. Each kind of device draws its own prompts from a seed.
    """

    config: SAM2Config
    options: TrainOptions
    data: TrainData
    folder: Path
    say: Say = field(default=lambda _: None)
    device: torch.device = field(default=torch.device("cpu"))

    def __post_init__(self) -> None:
        """Make the network, its average and the optimiser."""
        torch.manual_seed(self.options.seed)
        self.model = SAM2(self.config)
        initialise(self.model, self.options.seed)
        if self.options.memory_only:
            teach_memory_only(self.model)
        self.model.to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.head = AffinityHead(self.config.hidden_dim).to(self.device)
        self.optimiser = make_optimiser(nn.ModuleList([self.model, self.head]), self.options)
        self.state = RunState()
        self._streams = streams(self.options)
        self._batches: dict[str, Iterator[ClipBatch]] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = RunLog(self.folder)
        self._is_stopping = False

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False when there is none."""
        if not (self.folder / CHECKPOINT).is_file():
            return False
        self.state = load_run(self.folder, self._learners())
        self.say(f"resumed at step {self.state.step}, {self.state.elapsed:.0f} s")
        return True

    def start_from(self, weights: Path) -> None:
        """Begin with the weights of another run instead of new ones.

        Parameters
        ----------
        weights : Path
            A safetensors file, or a run's checkpoint, of which the averaged weights are taken.

        Raises
        ------
        ValueError
            When the weights are of another configuration.
        """
        load_start(weights, self.model, self.head)
        if self.options.reset_presence:
            expect_objects(self.model, torch.Generator(self.device).manual_seed(self.options.seed))
        self.average.load_state_dict(self.model.state_dict())
        self.say(f"starting from {weights}")

    def stop(self) -> None:
        """End the run after the step under way; it is saved and can be resumed."""
        self._is_stopping = True

    def train(self, *, stop_after: int | None = None) -> RunState:
        """Train until the budget is spent.

        Parameters
        ----------
        stop_after : int or None
            Stop early when this many steps have been done in all; the run can be resumed.

        Returns
        -------
        RunState
            Where the run stands; the checkpoint in the folder holds the same.
        """
        write_options(self.folder, self.options)
        # Workers share what this process holds when they are made, and keep their own copy of what
        # changes here later: made in the middle of a run, each costs gigabytes.
        for name in self._streams:
            self._open(name)
        _hear_of_the_dead_later()
        saved = validated = logged = self.state.elapsed
        while self._goes_on(stop_after):
            started = time.perf_counter()
            if not self._step():
                break
            self.state.elapsed += time.perf_counter() - started
            self.state.step += 1
            if self.state.step % self.options.log_steps == 0:
                self._write_log((self.state.elapsed - logged) / self.options.log_steps)
                logged = self.state.elapsed
            if self.state.elapsed - saved >= self.options.checkpoint_seconds:
                self._try_to_save()
                saved = self.state.elapsed
            if self.state.elapsed - validated >= self.options.validate_seconds:
                self.measure()
                validated = self.state.elapsed
        self.save()
        if not self._is_stopping:
            self.measure()
        self._log.close()
        return self.state

    def save(self) -> None:
        """Write the checkpoint."""
        save_run(self.folder, self.state, self._learners())

    def _try_to_save(self) -> None:
        """Write the checkpoint; a full disk may have room again the next time."""
        try:
            self.save()
        except OSError as error:
            self.say(str(error))

    def _learners(self) -> Learners:
        return Learners(self.model, self.average, self.head, self.optimiser)

    def measure(self) -> Figures:
        """Validate the averaged weights and add the figures to the folder's table."""
        if self.data.held_back is None:
            return {}
        self.average.eval()
        with fast_attention(self.device):
            figures = validate(self.average, self.data.held_back, bf16=self.options.bf16)
        self._log.write_figures(self.state.step, self.state.elapsed, figures)
        self.say(f"step {self.state.step}, {self.state.elapsed:.0f} s: {summary(figures)}")
        return figures

    def _goes_on(self, stop_after: int | None) -> bool:
        is_early = stop_after is None or self.state.step < stop_after
        return is_early and not self._is_stopping and self._done() < 1.0

    def _done(self) -> float:
        return progress(self.options, self.state.step, self.state.elapsed)

    def _step(self) -> bool:
        """Do one step: a batch, its prompts, the loss, the update, the average.

        False where there is no batch any more, as the run has been ended.
        """
        options, done = self.options, self._done()
        rng = step_random(options.seed, self.state.step, 0)
        name = choose_stream(options, done, rng)
        batch = self._next_batch(name)
        if batch is None:
            return False
        is_blind = self.state.step < options.blob_steps
        if is_blind:
            batch = replace(batch, masks=with_blobs(batch, rng))
        batch = batch.to(self.device)
        # The encoder has nothing to learn from masks that are not in the image.
        self.model.image_encoder.requires_grad_(not (is_blind or options.memory_only))
        plan = choose_plan(options, self._streams[name].num_frames, rng)
        rate = learning_rate(options, done)
        set_rate(self.optimiser, rate)
        unroller = Unroller(self.model, torch_generator(rng, self.device))
        with fast_attention(self.device):
            with autocast(self.device, wanted=options.bf16):
                answers = unroller.run(batch.images, batch.masks, batch.annotated, plan)
                cells = self._cells_loss(unroller.features, batch.masks, batch.annotated)
            weights = loss_weights(options, done, self._streams[name].num_frames)
            loss = self._loss(answers, weights, name, plan)
            if loss is None:
                return True
            if cells is not None and not is_blind:
                loss = loss + weights.affinity * cells
                self._log.add(f"{name}-cells", {"affinity": cells.detach()})
            loss.backward()
        self._update()
        return True

    def _loss(
        self, answers: list[Step], weights: LossWeights, stream: str, plan: Plan
    ) -> torch.Tensor | None:
        """Return the mean loss of all answers on annotated frames, None without any."""
        losses = []
        for order, step in enumerate(answers):
            rows = step.annotated.nonzero()[:, 0]
            if len(rows) == 0:
                continue
            terms = answer_loss(step.answer.rows(rows), step.truth[rows], weights)
            losses.append(terms.total)
            label = f"click{order}" if stream == "still" else f"frame{step.frame}"
            self._log.add(f"{stream}-{plan.kind}-{label}", terms.parts)
        return torch.stack(losses).mean() if losses else None

    def _cells_loss(
        self, features: ImageFeatures | None, masks: torch.Tensor, annotated: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the loss on pairs of cells over all annotated frames, None without any."""
        seen = masks.flatten(3).any(3) & annotated[..., None]  # (b, T, N)
        rows = seen.nonzero()  # (B, 3)
        if features is None or not features.embedding.requires_grad or len(rows) == 0:
            return None
        positions = self.model.sam_prompt_encoder.dense_positions(*features.grid)
        affinity = self.head(features.embedding, positions)
        frames = rows[:, 0] * masks.shape[1] + rows[:, 1]
        return affinity_loss(affinity, frames, masks[seen], features.grid)

    def _update(self) -> None:
        """Clip, step and average; a gradient that is not finite is dropped."""
        learning = [*self.model.parameters(), *self.head.parameters()]
        norm = nn.utils.clip_grad_norm_(learning, self.options.gradient_norm)
        if torch.isfinite(norm):
            self.optimiser.step()
        else:
            self.say(f"step {self.state.step}: gradient is not finite, step left out")
        self.optimiser.zero_grad(set_to_none=True)
        # Early on a long average would mostly remember the random start.
        warm = (1.0 + self.state.step) / (10.0 + self.state.step)
        average_weights(self.average, self.model, min(self.options.ema_decay, warm))

    def _next_batch(self, name: str) -> ClipBatch | None:
        """Return the next batch of a stream.

        A scheduler that ends a run ends the processes that make batches with it: then None.

        Raises
        ------
        RuntimeError
            When no batch can be made, though nobody asked to stop; the run is saved.
        OSError
            When it cannot be saved either; the last checkpoint stays.
        """
        try:
            batch = next(self._batches[name])
        except (RuntimeError, OSError, EOFError) as error:
            # Of a batch that lies ready, too, the maker has to be there: it hands over the memory.
            if self._is_stopping:
                return None
            self.save()
            raise RuntimeError(
                f"no more clips can be made ({error}); what was learned in {self.state.step} steps "
                "is saved: go on with --resume, with fewer data_workers if memory was short"
            ) from error
        self.state.consumed[name] = self.state.consumed.get(name, 0) + 1
        return batch

    def _open(self, name: str) -> None:
        """Open a stream where this run left it."""
        if name in self._batches:
            return
        stream = self._streams[name]
        self._batches[name] = clip_batches(
            self.data.sources,
            self.data.weights,
            batch=stream.batch,
            num_frames=stream.num_frames,
            num_objects=stream.num_objects,
            # Streams must not show the same windows in the same order.
            seed=self.options.seed * 1000 + stream.num_frames,
            start_step=self.state.consumed.get(name, 0),
            workers=self.options.data_workers,
            pinned=self.device.type == "cuda",
        )

    def _write_log(self, step_seconds: float) -> None:
        rate = learning_rate(self.options, self._done())
        self._log.write(self.state.step, self.state.elapsed, rate, step_seconds)


def _hear_of_the_dead_later() -> None:
    """Let the end of a process that makes clips be noticed when a batch of it is due.

    PyTorch has it fail whatever line is running: the one that moves the weights, too.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def teach_memory_only(model: SAM2) -> None:
    """Hold fast what answers a prompt on one frame; the verdict on presence learns with memory."""
    parts = (model.image_encoder, model.sam_prompt_encoder, model.sam_mask_decoder)
    for part in parts:
        part.requires_grad_(False)
    model.no_mem_embed.requires_grad_(False)
    model.sam_mask_decoder.pred_obj_score_head.requires_grad_(True)


@contextmanager
def fast_attention(device: torch.device | None = None) -> Iterator[None]:
    """Attend by plain matrix products: on a CPU twice as fast backwards as the fused kernel.

    On any other device the fused kernels stay.
    """
    if device is not None and device.type != "cpu":
        yield
        return
    cuda = torch.backends.cuda
    before = cuda.fp16_bf16_reduction_math_sdp_allowed()
    cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        cuda.allow_fp16_bf16_reduction_math_sdp(before)
