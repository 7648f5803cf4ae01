"""When a run gives an object up."""

from __future__ import annotations

from napari_sam2.predictor.results import FrameResult
from napari_sam2.predictor.run_plan import Run
from napari_sam2.predictor.session import VideoSession


class Patience:
    """Counts the frames in a row that a run has not seen its objects on.

    Parameters
    ----------
    session : VideoSession
        Where an object has a prompt ahead, it is looked for up to there.
    run : Run
        The pass.
    limit : int or None
        Frames without the object after which it is given up; never if None.
    """

    def __init__(self, session: VideoSession, run: Run, limit: int | None) -> None:
        self._session = session
        self._run = run
        self._limit = limit
        self._hidden = dict.fromkeys(run.anchors, 0)

    def note(self, result: FrameResult) -> None:
        """Look at what was seen on a frame."""
        for one in result.objects:
            hidden = self._count(one.object_id, result.frame)
            self._hidden[one.object_id] = 0 if one.record.visible else hidden + 1

    def recall(self) -> None:
        """Count what the masks say of the frames behind a pass that goes on where it stopped."""
        step = self._run.step
        for object_id, anchor in self._run.anchors.items():
            ahead = (f for f in self._run.frames if object_id in self._run.objects_on(f))
            frame, is_known = next(ahead, self._run.frames[-1] + step) - step, False
            while (frame - anchor) * step > 0:
                record = self._session.masklets.record(object_id, frame)
                # An object that was given up has no records at the end of its way.
                if is_known if record is None else record.visible:
                    break
                is_known = is_known or record is not None
                self._hidden[object_id] += 1
                frame -= step
            if not is_known:
                self._hidden[object_id] = 0

    def holds(self, object_id: int, frame: int) -> bool:
        """Whether an object is still looked for on a frame."""
        if self._limit is None or self._count(object_id, frame) < self._limit:
            return True
        prompted = self._session.prompts.frames(object_id)
        return any((other - frame) * self._run.step >= 0 for other in prompted)

    def is_over(self, frame: int) -> bool:
        """Whether no object is looked for on a frame and later."""
        return not any(self.holds(object_id, frame) for object_id in self._hidden)

    def _count(self, object_id: int, frame: int) -> int:
        """Return for how many frames before this one an object was hidden.

        A pass begins anew behind each prompt: it may have leapt there from another one.
        """
        if self._session.prompts.on(object_id, frame - self._run.step):
            return 0
        return self._hidden.get(object_id, 0)
