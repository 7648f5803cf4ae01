"""What the engine remembers in the middle of a run, on disk: a killed run goes on as if it had not.

After each frame the memories that are new go to a file of their own, then the index is replaced: it
names the files that count, and holds the masks of the frame. The masks of the session are written
after that. So at any instant the folder describes one frame, whole; what is in no index is rubbish
and is removed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_sam2.io.writing import explain_full_disk, writing_whole
from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.memory_bank import FrameMemory, MemoryBank
from napari_sam2.predictor.session import ObjectState, VideoSession
from napari_sam2.predictor.transforms import View

__all__ = ["Checkpoint", "Progress"]

_PARTS = ("spatial", "pointer", "logits")
_BANKS = ("prompted", "recent")
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
    """

    step: int
    frame: int
    count: int
    seconds: float
    search: dict[str, Any] | None = None


class Checkpoint:
    """The state of one run in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[int, tuple[FrameMemory, str]] = {}
        self._number = 0

    @property
    def index(self) -> Path:
        """The file that says what counts."""
        return self._folder / "index.json"

    def save(self, session: VideoSession, progress: Progress, waiting: Waiting) -> None:
        """Keep the state after a frame.

        Parameters
        ----------
        session : VideoSession
        progress : Progress
        waiting : mapping of int to mapping of int to MaskRecord
            Masks by frame and object that are not in the session's folder yet.

        Raises
        ------
        OSError
            If the disk is full; the state before stays.
        """
        fresh: dict[str, Tensor] = {}
        places: dict[int, tuple[FrameMemory, str]] = {}
        self._number += 1
        name = f"{self._number:08d}"
        for object_id, bank, frame, memory in _memories(session):
            known = self._places.get(id(memory))
            if known is None:
                key = f"{object_id}/{bank}/{frame}"
                known = memory, f"{name}/{key}"
                for part in _PARTS:
                    fresh[f"{key}/{part}"] = getattr(memory, part).detach().contiguous().cpu()
            places[id(memory)] = known
        if fresh:
            with explain_full_disk(self._folder, "the frames before this one are kept"):
                save_file(fresh, self._folder / f"{name}.safetensors")
        content = {
            "number": self._number,
            "progress": asdict(progress),
            "objects": [_entry(i, one, places) for i, one in session.objects.items()],
            "waiting": {frame: _packed(records) for frame, records in waiting.items()},
        }
        with writing_whole(self.index, overwrite=True) as unfinished:
            unfinished.write_text(json.dumps(content))
        self._places = places
        self._sweep()

    def load(
        self, session: VideoSession, device: str = "cpu"
    ) -> tuple[Progress, dict[int, dict[int, MaskRecord]]]:
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

        Raises
        ------
        ValueError
            If the folder is damaged.
        """
        try:
            content = json.loads(self.index.read_text())
            self._number = int(content["number"])
            session.objects.clear()
            for entry in content["objects"]:
                session.objects[int(entry["object_id"])] = self._state(session, entry, device)
            waiting = {int(f): _unpacked(one) for f, one in content["waiting"].items()}
            return Progress(**content["progress"]), waiting
        except (KeyError, TypeError, json.JSONDecodeError, FileNotFoundError) as error:
            raise ValueError(
                f"{self.index} is damaged ({error!r}): remove the folder of this movie to begin "
                "it anew"
            ) from error

    def _state(self, session: VideoSession, entry: Mapping[str, Any], device: str) -> ObjectState:
        object_id = int(entry["object_id"])
        bank = MemoryBank(entry["window"], entry["pointer_window"])
        for kind in _BANKS:
            for one in entry[kind]:
                memory = self._memory(one["place"], one["view"], device)
                getattr(bank, kind)[int(one["frame"])] = memory
                self._places[id(memory)] = memory, one["place"]
        for frame in bank.prompted:
            bank.sources[frame] = session.prompts.on(object_id, frame)
        return ObjectState(bank, _view(entry["view"]), int(entry["revision"]))

    def _memory(self, place: str, view: Mapping[str, Any], device: str) -> FrameMemory:
        name, key = place.split("/", 1)
        with safe_open(self._folder / f"{name}.safetensors", "pt", device) as file:
            tensors = [file.get_tensor(f"{key}/{part}") for part in _PARTS]
        seen = _view(view)
        if seen is None:
            raise TypeError("a memory has no view")
        return FrameMemory(seen, *tensors)

    def _sweep(self) -> None:
        """Remove the files that the index does not name."""
        named = {place.split("/", 1)[0] for _, place in self._places.values()}
        for path in self._folder.glob("*.safetensors"):
            if path.stem not in named:
                path.unlink(missing_ok=True)


def _memories(session: VideoSession) -> Iterator[tuple[int, str, int, FrameMemory]]:
    for object_id, state in session.objects.items():
        for kind in _BANKS:
            for frame, memory in getattr(state.bank, kind).items():
                yield object_id, kind, frame, memory


def _entry(
    object_id: int, state: ObjectState, places: Mapping[int, tuple[FrameMemory, str]]
) -> dict[str, Any]:
    return {
        "object_id": object_id,
        "revision": state.revision,
        "view": None if state.view is None else _described(state.view),
        "window": state.bank.window,
        "pointer_window": state.bank.pointer_window,
        **{
            kind: [
                {"frame": frame, "view": _described(memory.view), "place": places[id(memory)][1]}
                for frame, memory in getattr(state.bank, kind).items()
            ]
            for kind in _BANKS
        },
    }


@lru_cache(maxsize=256)
def _described(view: View) -> dict[str, Any]:
    """Return a view as JSON writes it; every memory of a frame has one, and they are few."""
    return asdict(view)


def _view(values: Mapping[str, Any] | None) -> View | None:
    if values is None:
        return None
    pairs = {key: tuple(values[key]) for key in ("input_size", "frame_shape")}
    return View(**{**values, **pairs})


def _packed(records: Mapping[int, MaskRecord]) -> dict[int, list[Any]]:
    return {
        i: [
            list(one.bbox), base64.b64encode(one.bits).decode(),
            one.predicted_iou, one.object_score, one.prompted,
        ]
        for i, one in records.items()
    }  # fmt: skip


def _unpacked(content: Mapping[str, list[Any]]) -> dict[int, MaskRecord]:
    return {
        int(i): MaskRecord(tuple(bbox), base64.b64decode(bits), iou, score, prompted)
        for i, (bbox, bits, iou, score, prompted) in content.items()
    }
