"""What the engine remembers in the middle of a run, on disk: a killed run goes on as if it had not.

After each frame the memories that are new go to a file of their own, then the index is replaced: it
names the files that count, and holds the masks of the frame. The masks of the session are written
after that. So at any instant the folder describes one frame, whole; what is in no index is rubbish
and is removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_sam2.batch.memory_files import MemoryFiles
from napari_sam2.batch.packed_records import pack, unpack
from napari_sam2.batch.stack_checkpoint import described_stack, opened_stack
from napari_sam2.io.writing import writing_whole
from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.stack_state import StackState

__all__ = ["Checkpoint", "Progress"]

Waiting = Mapping[int, Mapping[int, MaskRecord]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    step : {1, -1}
        Direction of the pass.
    frame : int
        The last frame that is done.
    count : int
        Frames done so far, both directions counted.
    seconds : float
        What they took, however often the run was begun.
    search : dict or None
        How far a search for objects is, as `SearchState` writes it.
    mothers : dict of int to int
        Daughters that the run has taken on, with their mothers.
    """

    step: int
    frame: int
    count: int
    seconds: float
    search: dict[str, Any] | None = None
    mothers: dict[int, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Progress:
        """Read what was written as JSON, which has no whole numbers for keys."""
        mothers = {int(daughter): int(one) for daughter, one in values.pop("mothers", {}).items()}
        return cls(**values, mothers=mothers)


class Checkpoint:
    """The state of one run in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files = MemoryFiles(folder)

    @property
    def index(self) -> Path:
        """The file that says what counts."""
        return self._folder / "index.json"

    def save(
        self,
        session: VideoSession,
        progress: Progress,
        waiting: Waiting,
        stack: StackState | None = None,
    ) -> None:
        """Keep the state after a frame.

        Parameters
        ----------
        session : VideoSession
        progress : Progress
        waiting : mapping of int to mapping of int to MaskRecord
            Masks by frame and object that are not in the session's folder yet.
        stack : StackState, optional
            Where a run through a movie of stacks is.

        Raises
        ------
        OSError
            If the disk is full; the state before stays.
        """
        with self._files.adding():
            content = {
                "progress": asdict(progress),
                "objects": self._files.described(session.objects),
                "stack": None if stack is None else described_stack(stack, self._files),
                "waiting": {frame: pack(records) for frame, records in waiting.items()},
            }
        with writing_whole(self.index, overwrite=True) as unfinished:
            unfinished.write_text(json.dumps({"number": self._files.number, **content}))
        self._files.sweep()

    def load(
        self, session: VideoSession, device: str = "cpu"
    ) -> tuple[Progress, dict[int, dict[int, MaskRecord]], StackState | None]:
        """Give a session back what the engine knew.

        Parameters
        ----------
        session : VideoSession
            With its prompts and the masks of the folder; the engine has adopted it.
        device : str
            Where the engine works.

        Returns
        -------
        Progress
        dict of int to dict of int to MaskRecord
            Masks that may not be in the session's folder.
        StackState or None
            Where a run through a movie of stacks was.

        Raises
        ------
        ValueError
            If the folder is damaged.
        """
        try:
            content = json.loads(self.index.read_text())
            self._files.number = int(content["number"])
            session.objects.clear()
            session.objects.update(self._files.opened(content["objects"], session.prompts, device))
            stack = content["stack"]
            begun = stack and opened_stack(stack, session, self._files, device)
            waiting = {int(f): unpack(one) for f, one in content["waiting"].items()}
            return Progress.parse(content["progress"]), waiting, begun
        except (KeyError, TypeError, json.JSONDecodeError, FileNotFoundError) as error:
            raise ValueError(
                f"{self.index} is damaged ({error!r}): remove the folder of this movie to begin "
                "it anew"
            ) from error
