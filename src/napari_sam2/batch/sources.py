"""The movie and the network of a job, which its session may know."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam2.batch.job_spec import JobSpec
from napari_sam2.io.read_planes import PlaneMovie, read_fitting, read_planes
from napari_sam2.io.session_file import SessionRecord, read_session
from napari_sam2.predictor.frames import ArrayFrames

__all__ = ["Sources", "frames_of"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a job starts from.

    Attributes
    ----------
    job : JobSpec
    record : SessionRecord or None
        Its session, without masks.
    """

    job: JobSpec
    record: SessionRecord | None

    @classmethod
    def of(cls, job: JobSpec) -> Sources:
        """Read the session of a job, if it has one.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is not there, or damaged.
        """
        record = None if job.session is None else read_session(job.session, with_masks=False)
        return cls(job, record)

    @property
    def movie(self) -> str:
        """Path or address of the movie; empty if nobody says it."""
        if self.job.movie or self.record is None:
            return self.job.movie
        return self.record.movie.path or ""

    @property
    def model(self) -> str:
        """Name or file of the network."""
        known = None if self.record is None else self.record.settings.get("model")
        return self.job.model or known or "bundled"

    def open(self) -> PlaneMovie:
        """Open the movie plane by plane.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        ValueError
            If it is no movie, or the session is of one of another size.
        """
        if self.record is None:
            return read_planes(self.movie, self.job.axes)
        # The axes of the layer that it was; the file may have one for channels, too.
        shown = self.record.settings.get("axes")
        axes = (self.job.axes,) if self.job.axes else (shown, shown and f"{shown}C", None)
        movie = read_fitting(self.movie, axes, self.record.movie.shape)
        if movie.shape[:3] != self.record.movie.shape:
            raise ValueError(
                f"{self.movie} has {movie.shape[:3]} (frames, height, width) and the session is of "
                f"a movie of {self.record.movie.shape}"
            )
        return movie


def frames_of(movie: PlaneMovie) -> ArrayFrames:
    """Return the frames of a movie as the engine reads them."""
    return ArrayFrames(movie.array, movie.axes)
