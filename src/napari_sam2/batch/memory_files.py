"""The memories of objects in files: each is written once, and named by an index from then on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_sam2.io.writing import explain_full_disk
from napari_sam2.predictor.memory_bank import FrameMemory, MemoryBank
from napari_sam2.predictor.session import ObjectState
from napari_sam2.predictor.transforms import View
from napari_sam2.prompts import PromptStore

__all__ = ["MemoryFiles"]

_PARTS = ("spatial", "pointer", "logits")
_BANKS = ("prompted", "recent")


class MemoryFiles:
    """What banks hold, in a folder of safetensors files.

    Parameters
    ----------
    folder : Path
        It is there.

    Attributes
    ----------
    number : int
        That of the newest file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.number = 0
        # By the identity of memories, which are never changed; they are held so that it is theirs.
        self._places: dict[int, tuple[FrameMemory, str]] = {}
        self._named: dict[int, tuple[FrameMemory, str]] = {}
        self._fresh: dict[str, Tensor] = {}

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Write what is new of the states that are described within; the rest is forgotten.

        Raises
        ------
        OSError
            If the disk is full.
        """
        self.number += 1
        self._named, self._fresh = {}, {}
        yield
        if self._fresh:
            with explain_full_disk(self._folder, "the frames before this one are kept"):
                save_file(self._fresh, self._folder / f"{self.number:08d}.safetensors")
        self._places, self._fresh = self._named, {}

    def described(self, objects: Mapping[int, ObjectState]) -> list[dict[str, Any]]:
        """Return the states of objects as JSON writes them, with the places of their memories."""
        return [
            {
                "object_id": object_id,
                "revision": state.revision,
                "view": None if state.view is None else _described(state.view),
                "window": state.bank.window,
                "pointer_window": state.bank.pointer_window,
                **{kind: self._bank(getattr(state.bank, kind)) for kind in _BANKS},
            }
            for object_id, state in objects.items()
        ]

    def opened(
        self, entries: Iterable[Mapping[str, Any]], prompts: PromptStore, device: str
    ) -> dict[int, ObjectState]:
        """Read states; what is tracked of the objects is not among it.

        Parameters
        ----------
        entries : iterable of mapping
            As `described` made them.
        prompts : PromptStore
            What the memories of prompted frames were made from.
        device : str
            Where the engine works.
        """
        found = {}
        for entry in entries:
            object_id = int(entry["object_id"])
            bank = MemoryBank(entry["window"], entry["pointer_window"])
            for kind in _BANKS:
                for one in entry[kind]:
                    memory = self._memory(one, device)
                    getattr(bank, kind)[int(one["frame"])] = memory
                    self._places[id(memory)] = memory, one["place"]
            for frame in bank.prompted:
                bank.sources[frame] = prompts.on(object_id, frame)
            found[object_id] = ObjectState(bank, _view(entry["view"]), int(entry["revision"]))
        return found

    def sweep(self) -> None:
        """Remove the files that no memory lies in."""
        named = {place.split("/", 1)[0] for _, place in self._places.values()}
        for path in self._folder.glob("*.safetensors"):
            if path.stem not in named:
                path.unlink(missing_ok=True)

    def _bank(self, memories: Mapping[int, FrameMemory]) -> list[dict[str, Any]]:
        return [
            {
                "frame": frame,
                "view": _described(memory.view),
                "place": self._place(memory),
                "center": memory.center,
            }
            for frame, memory in memories.items()
        ]

    def _place(self, memory: FrameMemory) -> str:
        known = self._named.get(id(memory)) or self._places.get(id(memory))
        if known is None:
            key = str(len(self._fresh) // len(_PARTS))
            known = memory, f"{self.number:08d}/{key}"
            for part in _PARTS:
                tensor: Tensor = getattr(memory, part)
                self._fresh[f"{key}/{part}"] = tensor.detach().contiguous().cpu()
        self._named[id(memory)] = known
        return known[1]

    def _memory(self, entry: Mapping[str, Any], device: str) -> FrameMemory:
        name, key = entry["place"].split("/", 1)
        with safe_open(self._folder / f"{name}.safetensors", "pt", device) as file:
            spatial, pointer, logits = (file.get_tensor(f"{key}/{part}") for part in _PARTS)
        seen, center = _view(entry["view"]), entry.get("center")
        if seen is None:
            raise TypeError("a memory has no view")
        known = None if center is None else (float(center[0]), float(center[1]))
        return FrameMemory(seen, spatial, pointer, logits, known)


@lru_cache(maxsize=256)
def _described(view: View) -> dict[str, Any]:
    """Return a view as JSON writes it; every memory of a frame has one, and they are few."""
    return asdict(view)


def _view(values: Mapping[str, Any] | None) -> View | None:
    if values is None:
        return None
    pairs = {key: tuple(values[key]) for key in ("input_size", "frame_shape")}
    return View(**{**values, **pairs})
