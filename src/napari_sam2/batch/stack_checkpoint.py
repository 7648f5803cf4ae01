"""Where a run through a movie of stacks is, as JSON writes it: its lines, with what they know.

Of the masks along a line only those beside memories are kept here. The others are those of the
movie, or nobody looks at them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from napari_sam2.batch.memory_files import MemoryFiles
from napari_sam2.batch.packed_records import pack, unpack
from napari_sam2.masklets import MaskRecord
from napari_sam2.predictor.composed_frames import LineFrames, grid_of
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.stack_state import StackState
from napari_sam2.prompts import MaskPrompt

__all__ = ["described_stack", "opened_stack"]


def described_stack(state: StackState, files: MemoryFiles) -> dict[str, Any]:
    """Return a state as JSON writes it; its memories go to `files`."""
    return {
        "sweep": state.sweep,
        "place": state.place,
        "waiting": list(state.waiting),
        "handed": list(state.handed.items()),
        "slices": list(state.slices.items()),
        "passing": state.passing,
        "line": None if state.line is None else _line(state.line, files),
        "chains": {i: _chain(i, line, files) for i, line in state.chains.items()},
    }


def opened_stack(
    content: Mapping[str, Any], session: VideoSession, files: MemoryFiles, device: str
) -> StackState:
    """Read what `described_stack` made; the lines are those of `session`."""
    grid = grid_of(session.frames)
    state = StackState(
        forgets=True,
        sweep=content["sweep"],
        place=content["place"],
        waiting=tuple(content["waiting"]),
        handed=dict(map(tuple, content["handed"])),
        slices=dict(map(tuple, content["slices"])),
        passing=content["passing"],
    )
    if content["line"] is not None:
        # Which planes it has, the run knows; here they are numbers.
        state.line = session.on_line(range(max(grid.times, grid.slices)))
        _open_line(state.line, content["line"], files, device)
    for object_id, one in content["chains"].items():
        chain = state.chains[int(object_id)] = session.on_line(grid.along_time(0))
        assert isinstance(chain.frames, LineFrames)
        for time, plane in one["planes"]:
            chain.frames.planes[time] = plane
        for time, given in unpack(one["given"]).items():
            mask = given.mask(session.shape[1:])
            prompt = MaskPrompt(int(object_id), time, mask)
            chain.prompts.replace(prompt.object_id, time, [prompt])
        _open_line(chain, one["line"], files, device)
    return state


def _line(line: VideoSession, files: MemoryFiles) -> dict[str, Any]:
    return {
        "objects": files.described(line.objects),
        "records": {i: pack(_beside_memories(line, i)) for i in line.objects},
        "tracked": {i: _spans(state.tracked) for i, state in line.objects.items()},
    }


def _chain(object_id: int, line: VideoSession, files: MemoryFiles) -> dict[str, Any]:
    prompts = {one.frame: one for one in line.prompts.all() if isinstance(one, MaskPrompt)}
    assert isinstance(line.frames, LineFrames)
    times = {*prompts, *_beside_memories(line, object_id)}
    return {
        "planes": [[time, line.frames.planes[time]] for time in sorted(times)],
        "given": pack({time: MaskRecord(one.bbox, one.bits) for time, one in prompts.items()}),
        "line": _line(line, files),
    }


def _open_line(
    line: VideoSession, content: Mapping[str, Any], files: MemoryFiles, device: str
) -> None:
    line.objects.update(files.opened(content["objects"], line.prompts, device))
    for object_id, state in line.objects.items():
        for place, record in unpack(content["records"][str(object_id)]).items():
            line.masklets.write(object_id, place, record)
        for first, last, revision in content["tracked"][str(object_id)]:
            state.tracked.update(dict.fromkeys(range(first, last + 1), revision))


def _beside_memories(line: VideoSession, object_id: int) -> dict[int, MaskRecord]:
    """Return the masks of an object on the frames that it remembers."""
    if object_id not in line.objects:
        return {}
    bank = line.objects[object_id].bank
    found = {
        frame: line.masklets.record(object_id, frame) for frame in {**bank.prompted, **bank.recent}
    }
    return {frame: one for frame, one in found.items() if one is not None}


def _spans(tracked: Mapping[int, int]) -> list[list[int]]:
    """Return first, last and revision of frames that follow each other and share it."""
    frames = sorted(tracked)
    is_end = [b != a + 1 or tracked[a] != tracked[b] for a, b in pairwise(frames)] + [True]
    spans, first = [], 0
    for number, ends in enumerate(is_end[: len(frames)]):
        if ends:
            spans.append([frames[first], frames[number], tracked[frames[number]]])
            first = number + 1
    return spans
