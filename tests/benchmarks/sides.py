"""This project and the reference behind the same four calls, each in a process of its own.

The two take turns, so that a busy machine is as busy for both. Each process is set up as its
users would: ours as the command line does.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, Literal, Protocol

import torch
from tests.benchmarks.clip import FILLED, NUM_FRAMES, clicks, frames

from napari_sam2.model.config import PRESETS

_NETWORK = PRESETS["sam2.1-tiny"]
_PRESENT = 20.0
"""Bias of the object score: all objects are there on all frames."""

SideName = Literal["ours", "reference"]


class Side(Protocol):
    """What is timed."""

    def open(self, objects: int) -> None:
        """Click objects on frame 0 and fill their memory banks up to the first timed frame."""

    def frame(self) -> None:
        """Track all objects through the next frame."""

    def first_click(self) -> None:
        """Open the movie and click an object."""

    def click_again(self) -> None:
        """Click on the last tracked frame, as one that corrects does."""


class Ours:
    """This project's engine with the options of its command line."""

    def __init__(self, device: str) -> None:
        from tests.parity.seeding import seeded_weights

        from napari_sam2.model.sam2 import SAM2
        from napari_sam2.predictor.options import PredictorOptions
        from napari_sam2.predictor.runtime import Runtime, keep_heap
        from napari_sam2.predictor.video import VideoPredictor

        keep_heap()
        model = SAM2(_NETWORK).eval()
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        model.load_state_dict(seeded_weights(shapes, _PRESENT))
        runtime = Runtime.auto(device)
        self._predictor = VideoPredictor(model, runtime, PredictorOptions(view="whole"))
        self._movie = frames()
        self._clicked = 0

    def _session(self) -> Any:
        from napari_sam2.predictor.frames import IntensityMapping
        from napari_sam2.predictor.session import VideoSession

        mapping = IntensityMapping((0.0,) * 3, (255.0,) * 3, (0, 1, 2))
        return VideoSession.open(self._movie, mapping, axes="TYXC")

    def open(self, objects: int) -> None:
        from napari_sam2.predictor.memory_bank import FrameMemory
        from napari_sam2.predictor.options import PropagateOptions
        from napari_sam2.prompts import PointPrompt

        session = self._session()
        for index, (x, y) in enumerate(clicks(objects)):
            self._predictor.predict_frame(session, PointPrompt(index + 1, 0, (y, x)))
        self._predictor.commit(session)
        for state in session.objects.values():
            first = state.bank.prompted[0]
            for past in range(1, FILLED):
                noise = [torch.randn_like(x) for x in (first.spatial, first.pointer, first.logits)]
                state.bank.push(past, FrameMemory(first.view, *noise))
                state.tracked[past] = state.revision
        options = PropagateOptions(direction="forward", start=FILLED, stop=NUM_FRAMES - 1)
        self._run = self._predictor.propagate(session, options)
        self._open, self._last = session, 0

    def frame(self) -> None:
        self._last = next(self._run).frame

    def first_click(self) -> None:
        from napari_sam2.prompts import PointPrompt

        self._predictor.predict_frame(self._session(), PointPrompt(1, 0, (300.0, 400.0)))

    def click_again(self) -> None:
        from napari_sam2.prompts import PointPrompt

        self._clicked += 1
        point = (300.0 + self._clicked, 400.0)
        self._predictor.predict_frame(self._open, PointPrompt(1, self._last, point))


class Reference:
    """The reference's video predictor."""

    def __init__(self, device: str) -> None:
        from tests.parity.reference import build_reference
        from tests.parity.scenario import normalised

        warnings.simplefilter("ignore")
        self._predictor = build_reference(_NETWORK, _NETWORK.input_size, _PRESENT).to(device)
        colours = torch.from_numpy(frames()).permute(0, 3, 1, 2)
        self._frames = normalised(colours.float() / 255)
        self._clicked = 0

    def open(self, objects: int) -> None:
        from tests.parity.reference import open_state

        predictor, state = self._predictor, open_state(self._predictor, self._frames)
        for index, xy in enumerate(clicks(objects)):
            predictor.add_new_points_or_box(state, 0, index + 1, [xy], [1])
        predictor.propagate_in_video_preflight(state)
        for outputs in state["output_dict_per_obj"].values():
            first = outputs["cond_frame_outputs"][0]
            for past in range(1, FILLED):
                outputs["non_cond_frame_outputs"][past] = first | {
                    name: torch.randn_like(first[name])
                    for name in ("maskmem_features", "obj_ptr", "pred_masks")
                }
        self._run: Iterator[Any] = predictor.propagate_in_video(state, start_frame_idx=FILLED)
        self._open, self._last = state, 0

    def frame(self) -> None:
        self._last = next(self._run)[0]

    def first_click(self) -> None:
        from tests.parity.reference import open_state

        state = open_state(self._predictor, self._frames)
        self._predictor.add_new_points_or_box(state, 0, 1, [(400.0, 300.0)], [1])

    def click_again(self) -> None:
        self._clicked += 1
        points = [(400.0, 300.0 + self._clicked)]
        self._predictor.add_new_points_or_box(
            self._open, self._last, 1, points, [1], clear_old_points=False
        )


_SIDES: dict[SideName, Callable[[str], Side]] = {"ours": Ours, "reference": Reference}


class Remote:
    """One side, in a process of its own.

    Parameters
    ----------
    name : {"ours", "reference"}
    device : str
        "cpu" or "cuda".
    """

    def __init__(self, name: SideName, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, device, far_end), daemon=True)
        self._process.start()

    def time(self, call: str, *args: int) -> float:
        """Make a call there; returns its seconds."""
        self._pipe.send((call, args))
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return float(answer)

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def _serve(name: SideName, device: str, pipe: Connection) -> None:
    from contextlib import ExitStack

    is_gpu = device != "cpu"
    with ExitStack() as stack:
        if name == "reference":
            from tests.parity.reference import quiet

            stack.enter_context(quiet())
            if is_gpu:
                stack.enter_context(torch.autocast("cuda", torch.bfloat16))
        side = _SIDES[name](device)
        while (request := pipe.recv()) is not None:
            call, args = request
            try:
                started = perf_counter()
                getattr(side, call)(*args)
                if is_gpu:
                    torch.cuda.synchronize()
                pipe.send(perf_counter() - started)
            except Exception as error:  # the parent raises it
                pipe.send(error)
