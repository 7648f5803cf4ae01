"""The results of one movie on disk: a folder that appears when it is complete.

While a movie is worked on, its folder is called ``NAME.part``. Only whole results have the name
itself: the last step is to rename the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_sam2 import __version__
from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.io.writing import writing_whole

__all__ = ["ENDINGS", "MovieFolder"]

ENDINGS = {
    "ctc": "_ctc",
    "geff": ".geff",
    "ome-zarr": ".ome.zarr",
    "tiff": ".labels.tif",
    "csv": ".csv",
    "parquet": ".parquet",
    "coco": ".coco.json",
    "trackmate": ".xml",
    "napari-tracks": ".tracks.csv",
}
"""How the file of each format is called, after the name of the movie."""

_FORMAT = "napari-sam2 batch"


@dataclass(frozen=True, slots=True)
class MovieFolder:
    """Where the results of one movie are, or will be.

    Parameters
    ----------
    final : Path
        Exists only when everything is done.
    """

    final: Path

    @property
    def work(self) -> Path:
        """Where they are made."""
        return self.final.with_name(self.final.name + ".part")

    @property
    def session(self) -> Path:
        """The session that is being made: opens in napari at any time."""
        return self.work / f"{self.final.name}.sam2"

    @property
    def memories(self) -> Path:
        """What the engine remembers in mid-run."""
        return self.work / "memories"

    @property
    def strip(self) -> Path:
        """A picture of a few frames."""
        return self.work / "strip.png"

    @property
    def is_finished(self) -> bool:
        """Whether everything is done."""
        return (self.final / "result.json").is_file()

    @property
    def is_begun(self) -> bool:
        """Whether a run was begun, and did not end."""
        return (self.work / "job.json").is_file()

    def output(self, format_name: str) -> Path:
        """Return the file of an output while it is made."""
        return self.work / (self.final.name + ENDINGS[format_name])

    def problem(self, job: JobSpec, *, overwrite: bool) -> str | None:
        """Say why a job cannot use this folder, None if it can."""
        for place in (self.final, self.work):
            if not place.exists():
                continue
            if not place.is_dir():
                return f"{place} is a file: choose another folder for the results"
            note = place / "job.json"
            if not note.is_file():
                if any(place.iterdir()):
                    return (
                        f"{place} holds files that no batch wrote: they stay as they are, choose "
                        "another folder or name"
                    )
                continue
            if json.loads(note.read_text())["job"] != _asked(job) and not overwrite:
                return (
                    f"{place} holds results of another job of this name: choose another folder or "
                    "name, or allow overwriting"
                )
        return None

    def clear(self, job: JobSpec) -> None:
        """Remove what an earlier batch wrote for this job, or for another of its name."""
        for place in (self.final, self.work):
            if self.problem(job, overwrite=True) is None and place.is_dir():
                shutil.rmtree(place)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process out; a process that dies lets go.

        Raises
        ------
        RuntimeError
            If another process works here.
        """
        locks = self.final.parent / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{self.final.name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise RuntimeError(
                f"{self.work} is being worked on by another process: wait for it"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, job: JobSpec) -> None:
        """Make the folder and note for which job it is."""
        self.work.mkdir(parents=True, exist_ok=True)
        if not (self.work / "job.json").is_file():
            content = {"format": _FORMAT, "napari_sam2": __version__, "job": _asked(job)}
            with writing_whole(self.work / "job.json", overwrite=True) as unfinished:
                unfinished.write_text(json.dumps(content, indent=1) + "\n")

    def finish(self, result: dict[str, Any]) -> None:
        """Note the result, remove what only a run needs, and give the folder its name."""
        shutil.rmtree(self.memories, ignore_errors=True)
        with writing_whole(self.work / "result.json", overwrite=True) as unfinished:
            unfinished.write_text(json.dumps(result, indent=1) + "\n")
        if self.final.is_dir() and not any(self.final.iterdir()):
            self.final.rmdir()
        self.work.rename(self.final)

    def result(self) -> dict[str, Any]:
        """Return what was noted of finished results."""
        content: dict[str, Any] = json.loads((self.final / "result.json").read_text())
        return content

    def note(self, event: str, **values: Any) -> None:
        """Add a line to what happened here."""
        entry = {
            "event": event,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            **values,
        }
        with (self.work / "events.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def events(self) -> list[dict[str, Any]]:
        """Return what happened here, the earliest first."""
        place = self.final if self.is_finished else self.work
        path = place / "events.jsonl"
        found = []
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue  # half a line: the power went while it was written
        return found


def _asked(job: JobSpec) -> dict[str, Any]:
    """Return what decides about the results; where they lie and which device do not."""
    asked = asdict(job)
    for key in ("out", "name", "device"):
        asked.pop(key)
    return {**asked, "outputs": list(job.outputs)}
