"""A network learns in a process of its own: the window stays free, whatever happens there.

The process is ``napari-sam2 train``; with ``--json`` it tells a line a step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal


class Training(QObject):
    """The process that learns.

    Parameters
    ----------
    parent : QObject, optional
    """

    progressed = Signal(dict)
    """``done`` (0 to 1), ``step``, ``loss`` and ``minutes`` after a step."""
    said = Signal(str)
    """A line for people."""
    ended = Signal(str)
    """``finished``, ``stopped`` or ``failed``."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._is_stopping = False
        self.problem = ""
        """What the process said when it failed."""

    @property
    def is_running(self) -> bool:
        """Whether a network is learning."""
        return self._process is not None

    def start(self, config: Path, *, resume: bool = False) -> None:
        """Begin to learn, or go on with a run that was stopped."""
        self._is_stopping, self.problem = False, ""
        process = QProcess(self)
        process.setProcessEnvironment(_environment())
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._end)
        arguments = ["-m", "napari_sam2", "train", str(config), "--json", "--out"]
        arguments += [str(config.parent), "--resume" if resume else "--overwrite"]
        self._process = process
        process.start(sys.executable, arguments)

    def stop(self) -> None:
        """End after the step under way; it is saved and can be gone on with."""
        if self._process is None:
            return
        self._is_stopping = True
        if os.name == "posix" and self._process.processId():
            os.kill(self._process.processId(), signal.SIGINT)
        else:
            self._process.kill()  # the last checkpoint is gone on with

    def close(self) -> None:
        """End with the window: what was learned so far is saved."""
        if self._process is not None:
            self.stop()
            self._process.finished.disconnect(self._end)
            if not self._process.waitForFinished(3000):
                self._process.kill()
                self._process.waitForFinished(1000)
            self._process = None

    def _read(self) -> None:
        process = self._process
        while process is not None and process.canReadLine():
            line = bytes(process.readLine().data()).decode(errors="replace").strip()
            told = _parsed(line)
            if told is not None:
                self.progressed.emit(told)
            elif line:
                self.said.emit(line)

    def _end(self, code: int) -> None:
        self._read()
        process, self._process = self._process, None
        if process is not None:
            errors = bytes(process.readAllStandardError().data()).decode(errors="replace")
            self.problem = " ".join(errors.split()[-60:])
            process.deleteLater()
        if code == 0:
            self.ended.emit("finished")
        else:
            self.ended.emit("stopped" if self._is_stopping else "failed")


def _parsed(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and "done" in found else None


def _environment() -> QProcessEnvironment:
    """Leave a core to the window; find this package where it was imported from."""
    environment = QProcessEnvironment.systemEnvironment()
    environment.insert("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) - 1)))
    place = str(Path(__file__).parents[2])
    others = environment.value("PYTHONPATH")
    environment.insert("PYTHONPATH", os.pathsep.join(filter(None, [place, others])))
    return environment
