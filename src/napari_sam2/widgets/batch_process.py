"""The command ``napari-sam2 batch`` as a process of its own, watched by its lines of progress."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal

__all__ = ["BatchProcess"]


class BatchProcess(QObject):
    """Runs a jobs file; a viewer that is closed or fails takes no result with it.

    Attributes
    ----------
    told : Signal
        A dictionary: ``movie``, ``done`` and ``total``, or ``movie``, ``outcome``, ``folder`` and
        ``error``.
    ended : Signal
        Exit status, and what was printed for people.
    """

    told = Signal(dict)
    ended = Signal(int, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)
        self._rest = b""
        self._printed: list[str] = []

    @property
    def is_running(self) -> bool:
        """Whether the command is at work."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, jobs: Path) -> None:
        """Run a jobs file."""
        self._rest, self._printed = b"", []
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        self._process.setProcessEnvironment(environment)
        self._process.start(
            sys.executable, ["-m", "napari_sam2", "batch", str(jobs), "--progress-lines"]
        )

    def cancel(self) -> None:
        """End the command at once: every frame that was done is on disk, the next run goes on."""
        self._process.kill()

    def close(self) -> None:
        """End the command and wait for it."""
        self._process.blockSignals(True)
        if self.is_running:
            self._process.kill()
            self._process.waitForFinished(3000)

    def _read(self) -> None:
        content = self._rest + bytes(self._process.readAllStandardOutput().data())
        *lines, self._rest = content.split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if line.startswith("{"):
            told: dict[str, Any] = json.loads(line)
            self.told.emit(told)
        elif line.strip():
            self._printed.append(line)

    def _finish(self, status: int) -> None:
        self._read()
        errors = bytes(self._process.readAllStandardError().data()).decode(errors="replace")
        self.ended.emit(status, "\n".join([*self._printed, errors]).strip())

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(-1, f"{sys.executable} could not be started")
