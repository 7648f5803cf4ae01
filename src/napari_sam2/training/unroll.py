"""One clip through the network with gradients, prompts simulated, as the predictor would go.

The image encoder sees every frame once for all objects; the objects of all clips of a batch are
the rows of everything else. Frames follow one another with the memory rule of the model: the
prompted frames and the most recent ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from napari_sam2.model.config import IMAGE_MEAN, IMAGE_STD
from napari_sam2.model.mask_decoder import upscale_logits
from napari_sam2.training.losses import Answer
from napari_sam2.training.prompt_simulation import (
    PointRows,
    PromptKind,
    boxed,
    corrective_click,
    first_box,
    first_click,
)
from napari_sam2.training.told_motion import expected_centers

if TYPE_CHECKING:
    from napari_sam2.model.outputs import ImageFeatures, MaskPrediction, MemoryTokens
    from napari_sam2.model.sam2 import SAM2

_LOGIT_LIMIT = 32.0  # earlier answers enter as prompts clamped to this, as in the reference


@dataclass(frozen=True, slots=True)
class Plan:
    """Which prompts an unrolling simulates.

    Attributes
    ----------
    kind : {"click", "box", "mask"}
        First prompt, on the first frame.
    first_clicks : int
        Corrective clicks on the first frame; a mask prompt takes none.
    corrected_frame : int or None
        Later frame that gets corrective clicks and becomes a prompted frame.
    corrections : int
        Clicks on that frame.
    encoder_learns : bool
        Without, the image encoder runs without gradients, in a third of the time.
    presence_told : bool
        What is remembered of a frame depends on whether the object is there, instead of on
        whether the network says so: as long as that is often wrong, tracking learns little.
    motion_told : bool
        Memories move with their objects, as in the predictor; where every frame is annotated.
    asked_again : bool
        A first click is followed by the box and the centre of its answer, as in the predictor.
    """

    kind: PromptKind
    first_clicks: int = 0
    corrected_frame: int | None = None
    corrections: int = 1
    encoder_learns: bool = True
    presence_told: bool = False
    motion_told: bool = False
    asked_again: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One answer of the network: the frame, what it said, what is true, and for whom.

    Attributes
    ----------
    frame : int
    answer : Answer
        Of B rows.
    truth : Tensor, (B, H, W) bool
    annotated : Tensor, (B,) bool
    logits : Tensor, (B, 1, h, w)
        The mask that the model chose.
    before : Answer or None
        What a teacher says in its place, where there is one and nothing was prompted.
    """

    frame: int
    answer: Answer
    truth: torch.Tensor
    annotated: torch.Tensor
    logits: torch.Tensor
    before: Answer | None = None


def true_score(truth: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the presence that is certain, (B, 1) float32: 10, -10, or NaN where it is unknown.

    Parameters
    ----------
    truth : Tensor, (B, H, W) bool
    known : Tensor, (B,) bool
        Whether the frame is annotated.
    """
    score = truth.flatten(1).any(1).float() * 20.0 - 10.0
    return torch.where(known, score, torch.nan)[:, None]


@dataclass(frozen=True, slots=True)
class _Remembered:
    """Memory of all rows on one frame."""

    frame: int
    spatial: torch.Tensor  # (B, Cm, h, w)
    pointer: torch.Tensor  # (B, C)
    prompted: bool


@dataclass(frozen=True, slots=True)
class _Said:
    """One answer, what the model makes of it, and what the teacher says."""

    answer: Answer
    prediction: MaskPrediction
    before: Answer | None


def to_input_size(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Interpolate logits (B, M, h, w) to the size of true masks (B, H, W)."""
    height, width = truth.shape[-2:]
    return upscale_logits(logits, (height, width))


@dataclass
class Unroller:
    """Runs clips through a model.

    Attributes
    ----------
    model : SAM2
    generator : torch.Generator
        Of the simulated prompts.
    memory_learns : bool
        Without, what is remembered has no gradients: a network whose memory does not learn takes a
        third less time so, and is taught to answer, not to be remembered.
    teacher : SAM2 or None
        Says what it makes of the same memories on frames without a prompt.
    features : ImageFeatures or None
        Of all frames of the last batch, clip by clip.
    """

    model: SAM2
    generator: torch.Generator
    memory_learns: bool = True
    teacher: SAM2 | None = None
    features: ImageFeatures | None = None
    _memory: list[_Remembered] = field(default_factory=list)
    _expected: torch.Tensor | None = None  # (B, T, 2), in cells
    _taught: ImageFeatures | None = None  # the teacher's, of the rows of the present frame

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the trunk's maps of all frames (b, T, 3, H, W) in 0..1, clip by clip."""
        mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (IMAGE_MEAN, IMAGE_STD))
        return self.model.trunk_maps((images.flatten(0, 1) - mean) / std)

    def run(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        annotated: torch.Tensor,
        plan: Plan,
        maps: tuple[torch.Tensor, ...] | None = None,
    ) -> list[Step]:
        """Return every answer on the way through a batch of clips.

        Parameters
        ----------
        images : Tensor, (b, T, 3, H, W) float32 in 0..1
        masks : Tensor, (b, T, N, H, W) bool
        annotated : Tensor, (b, T) bool
        plan : Plan
        maps : tuple of Tensor, optional
            What `encode` said of the images, where it is known already. What the decoder makes
            of them learns nevertheless.

        Returns
        -------
        list of Step
            In order of time; rows are the objects that are on the first frame. Empty when
            there is none.
        """
        self._memory = []
        clips, frames = images.shape[:2]
        rows = (masks[:, 0].flatten(2).any(2) & annotated[:, :1]).nonzero()  # (B, 2)
        if len(rows) == 0:
            return []
        truth = masks[rows[:, 0], :, rows[:, 1]]  # (B, T, H, W)
        known = annotated[rows[:, 0]]  # (B, T)
        is_learned = maps is not None or plan.encoder_learns
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_learned):
            maps = self.encode(images) if maps is None else maps
            features = self.model.project_maps(maps)
        self.features = features
        with torch.no_grad():
            taught = None if self.teacher is None else self.teacher.project_maps(maps)
        self._expected = None
        if plan.motion_told and bool(known.all()):
            cells = features.grid[0] / truth.shape[-2]
            self._expected = cells * expected_centers(truth, rows[:, 0], self.generator)
        steps: list[Step] = []
        for frame in range(frames):
            row = rows[:, 0] * frames + frame if clips * frames > 1 else slice(None)
            here = features.rows(row)
            self._taught = None if taught is None else taught.rows(row)
            is_last = frame == frames - 1
            steps += self._visit(frame, here, truth[:, frame], known[:, frame], plan, is_last)
        return steps

    def _visit(
        self,
        frame: int,
        features: ImageFeatures,
        truth: torch.Tensor,
        known: torch.Tensor,
        plan: Plan,
        is_last: bool,
    ) -> list[Step]:
        """Answer on one frame, with its prompts, and remember it unless it is the last."""
        answers: list[_Said] = []
        if frame == 0 and plan.kind == "mask":
            final = self.model.embed_mask_prompt(features, truth[:, None].float())
        else:
            answers = self._answers(frame, features, truth, known, plan)
            final = answers[-1].prediction
        prompted = frame in (0, plan.corrected_frame)
        if not is_last:
            self._remember(frame, features, final, prompted)
        return [
            Step(frame, said.answer, truth, known, said.prediction.logits.detach(), said.before)
            for said in answers
        ]

    def _answers(
        self,
        frame: int,
        features: ImageFeatures,
        truth: torch.Tensor,
        known: torch.Tensor,
        plan: Plan,
    ) -> list[_Said]:
        """Decode a frame with its first prompt or its memory, then with corrective clicks."""
        points: PointRows | None = None
        clicks = plan.corrections if frame == plan.corrected_frame else 0
        if frame == 0:
            make = first_click if plan.kind == "click" else first_box
            points, clicks = make(truth, self.generator), plan.first_clicks
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._has_gradients(features)):
            conditioned = self.model.attend_memory(features, self._recall(frame))
        told = true_score(truth, known) if plan.presence_told else None
        answers = [self._decode(conditioned, features, points, None, told)]
        if frame == 0 and points is not None and plan.kind == "click" and plan.asked_again:
            found = to_input_size(answers[-1].prediction.logits.detach().float(), truth)[:, 0] > 0
            answers.append(self._decode(conditioned, features, boxed(points, found), None, told))
        for _ in range(clicks):
            earlier = answers[-1].prediction.logits.detach().float()
            predicted = to_input_size(earlier, truth)[:, 0] > 0
            click = corrective_click(truth, predicted, self.generator)
            points = click if points is None else points.append(click)
            earlier = earlier.clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)
            answers.append(self._decode(conditioned, features, points, earlier, told))
        return answers

    def _decode(
        self,
        conditioned: torch.Tensor,
        features: ImageFeatures,
        points: PointRows | None,
        earlier: torch.Tensor | None,
        told: torch.Tensor | None,
    ) -> _Said:
        """Decode all masks and let the model choose, as it does for a user.

        Where presence is `told`, (B, 1), the choice follows that; the answer is what the network
        says.
        """
        prompts = self.model.encode_prompts(
            None if points is None else points.points,
            None if points is None else points.labels,
            earlier,
            features.grid,
            rows=len(conditioned),
        )
        output = self.model.decode_all(conditioned, features, prompts)
        multimask = points is None or points.points.shape[1] <= 1
        answer = Answer(output.logits, output.ious, output.object_score)
        if told is not None:
            score = torch.where(told.isnan(), output.object_score.float(), told)
            output = replace(output, object_score=score)
        is_prompted = points is not None or earlier is not None
        before = None if is_prompted else self._before(conditioned)
        return _Said(answer, self.model.choose(output, multimask), before)

    def _before(self, conditioned: torch.Tensor) -> Answer | None:
        """Return what the teacher says of a frame without a prompt."""
        if self.teacher is None or self._taught is None:
            return None
        with torch.no_grad():
            rows = len(conditioned)
            grid = self._taught.grid
            prompts = self.teacher.encode_prompts(None, None, None, grid, rows=rows)
            output = self.teacher.decode_all(conditioned, self._taught, prompts)
        return Answer(output.logits, output.ious, output.object_score)

    def _remember(
        self, frame: int, features: ImageFeatures, final: MaskPrediction, prompted: bool
    ) -> None:
        """Encode what was answered on a frame into the memory."""
        size = (16 * features.grid[0], 16 * features.grid[1])
        pointer = final.pointer if self.memory_learns else final.pointer.detach()
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.memory_learns):
            logits = upscale_logits(final.logits, size)
            spatial = self.model.encode_memory(features, logits, final.object_score, prompted)
        self._memory.append(_Remembered(frame, spatial, pointer, prompted))

    def _has_gradients(self, features: ImageFeatures) -> bool:
        """Say whether what comes of the memory has any: of itself, or of the image."""
        return self.memory_learns or features.embedding.requires_grad

    def _recall(self, frame: int) -> MemoryTokens | None:
        """Lay out the prompted and the recent memories for a frame."""
        config = self.model.config
        last = config.num_maskmem - 1
        spatial, times, frames = [], [], []
        for memory in self._memory:
            age = frame - memory.frame
            if memory.prompted or age <= last:
                spatial.append(memory.spatial)
                times.append(last if memory.prompted else age - 1)
                frames.append(memory.frame)
        if not spatial:
            return None
        limit = config.max_object_pointers
        with_pointer = [m for m in self._memory if m.prompted or frame - m.frame < limit]
        rows, device = len(spatial[0]), spatial[0].device
        ages = torch.tensor([frame - m.frame for m in with_pointer], device=device)
        return self.model.assemble_memory(
            torch.stack(spatial, dim=1),
            torch.tensor(times, device=device).expand(rows, -1),
            torch.stack([m.pointer for m in with_pointer], dim=1),
            ages.expand(rows, -1),
            float(config.pointer_time_span or limit - 1),
            self._moves(frame, frames),
        )

    def _moves(self, frame: int, then: list[int]) -> torch.Tensor | None:
        """Return by how many cells what each memory shows has moved since, (B, K, 2)."""
        if self._expected is None:
            return None
        return self._expected[:, frame, None] - self._expected[:, then]
