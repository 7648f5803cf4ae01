"""What the worker tells the window: small immutable facts that may cross threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.masklets import MaskRecord
    from napari_sam2.predictor.results import FrameResult
    from napari_sam2.prompts import Prompt
    from napari_sam2.tracking.proposals import DivisionProposal
    from napari_sam2.tracking.tracks import Tracks
    from napari_sam2.widgets.self_test import SelfTest

Outcome = Literal["finished", "cancelled", "failed"]
Task = Literal["model", "movie", "prompt", "predict", "run", "test"]


@dataclass(frozen=True, slots=True)
class ModelLoading:
    """A network is being read or, where `total` is above 0, downloaded: bytes done of all."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class ModelReady:
    """A network is loaded and answers from now on; `sha256` is the hash of its file."""

    name: str
    device: str
    seconds: float
    sha256: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DownloadStopped:
    """The user has stopped a download; what has arrived is kept."""

    name: str


@dataclass(frozen=True, slots=True)
class Tested:
    """What the network in use does on this machine."""

    name: str
    result: SelfTest


@dataclass(frozen=True, slots=True)
class Predicted:
    """The answer to the prompts of an object on a frame.

    `ticket` is the number of the request that it answers: an answer with an older number than the
    last request for the same object and frame comes too late. `record` is None when no prompt is
    left there. `is_followed` tells that frames around it will be computed again. `candidates` are
    the masks that one ambiguous click offers, else there are none.
    """

    movie: str
    object_id: int
    frame: int
    ticket: int
    record: MaskRecord | None
    seconds: float = 0.0
    is_followed: bool = False
    candidates: tuple[MaskRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come; `done` and `total` count frames, `work` masks.

    `total` is 0 where nobody knows the end.
    """

    done: int
    total: int
    seconds: float
    work: int = 0
    work_total: int = 0

    @property
    def frames_per_second(self) -> float:
        """Mean speed since the run began, 0 before the first frame."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """Time to the end at the mean speed, infinite before the first frame.

        By the masks that are left where they are counted: objects need not be on every frame.
        """
        if self.work and self.work_total and self.seconds > 0:
            return max(self.work_total - self.work, 0) * self.seconds / self.work
        speed = self.frames_per_second
        return max(self.total - self.done, 0) / speed if speed > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class FrameTracked:
    """A run has made the masks of one frame."""

    movie: str
    number: int
    result: FrameResult
    progress: Progress


@dataclass(frozen=True, slots=True)
class Differences:
    """What a search has found or changed since it was last asked.

    Its objects have numbers of its own. Masks and prompts are by object and frame; None, or no
    prompt, where something is taken back. `mothers` are by daughter.
    """

    masks: dict[tuple[int, int], MaskRecord | None]
    prompts: dict[tuple[int, int], tuple[Prompt, ...]]
    mothers: dict[int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """How far a search with this number is, and now and then what it has found."""

    movie: str
    number: int
    progress: Progress
    news: Differences | None


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run with this number is over; what it did is kept whatever the outcome."""

    movie: str
    number: int
    outcome: Outcome
    progress: Progress
    tracks: Tracks | None
    is_search: bool = False


@dataclass(frozen=True, slots=True)
class FollowedUp:
    """A frame was computed anew because of a correction, or for daughters that were born."""

    movie: str
    result: FrameResult
    progress: Progress


@dataclass(frozen=True, slots=True)
class FollowUpEnded:
    """Nothing is left to follow up, or it was cancelled; what was done stays."""

    movie: str
    is_finished: bool
    progress: Progress
    tracks: Tracks | None


@dataclass(frozen=True, slots=True)
class DivisionsProposed:
    """Where objects seem to divide, of all that is known by now."""

    movie: str
    proposals: tuple[DivisionProposal, ...]


@dataclass(frozen=True, slots=True)
class Halted:
    """Neither a run nor a follow-up is under way, and none of their frames is still to come."""


@dataclass(frozen=True, slots=True)
class TracksChanged:
    """The paths of the objects after an edit."""

    movie: str
    tracks: Tracks


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network sees of a frame: uint8 (h, w, 3), and the box of the frame it shows."""

    movie: str
    picture: NDArray[np.uint8]
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Failed:
    """Something did not work; `prompt` is the one that was refused, if it was a prompt."""

    task: Task
    error: Exception
    prompt: Prompt | None = None


ModelMessage = ModelLoading | ModelReady | DownloadStopped | Tested
Consequence = Found | FollowedUp | FollowUpEnded | DivisionsProposed | Halted | TracksChanged
Message = ModelMessage | Predicted | FrameTracked | RunEnded | Consequence | Seen | Failed
