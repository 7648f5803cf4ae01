"""What one line of a jobs file says: a movie, its prompts, options, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from napari_sam2.predictor.options import Divided, Motion, PredictorOptions, ViewMode

__all__ = ["SEEDS", "JobSpec", "SeedKind"]

SeedKind = Literal["session", "prompts", "labels", "automatic"]
SEEDS: tuple[SeedKind, ...] = get_args(SeedKind)


def _about(text: str) -> dict[str, Any]:
    return {"help": text}


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One movie and what to do with it.

    Paths are absolute, or addresses such as ``s3://bucket/movie.zarr``.
    """

    movie: str = field(default="", metadata=_about("Path or address; a session knows its own."))
    session: str | None = field(
        default=None, metadata=_about("Folder NAME.sam2 that was begun in the dock.")
    )
    prompts: str | None = field(default=None, metadata=_about("Prompts as JSON or CSV."))
    labels: str | None = field(
        default=None, metadata=_about("Label image or stack: each label is an object.")
    )
    automatic: bool = field(
        default=False, metadata=_about("Objects are found without a click, newcomers too.")
    )
    diameter: float | None = field(
        default=None, metadata=_about("Diameter in pixels of the objects that are found.")
    )
    every: int | None = field(
        default=None, metadata=_about("Frames from one search for objects to the next.")
    )
    name: str = field(
        default="", metadata=_about("Name of the results; that of the movie if not given.")
    )
    out: str = field(default="", metadata=_about("Folder for the results, one folder a movie."))
    outputs: tuple[str, ...] = field(
        default=("tiff", "csv"), metadata=_about("Formats, as `napari-sam2 export` has them.")
    )
    model: str | None = field(
        default=None, metadata=_about("Network; the session's, or the bundled one.")
    )
    device: str | None = field(default=None, metadata=_about("cpu, cuda, cuda:1, mps."))
    dtype: str | None = field(default=None, metadata=_about("float32, bfloat16, float16."))
    view: str = field(default="auto", metadata=_about("auto, whole or follow."))
    divided: str = field(
        default="auto",
        metadata=_about(
            "Cells that have divided end, go on as their daughters, or are followed on: auto, end, "
            "daughters or follow."
        ),
    )
    motion: str = field(
        default="auto",
        metadata=_about("Objects are looked for where they have moved to: auto, on or off."),
    )
    direction: str = field(default="both", metadata=_about("forward, backward or both."))
    first: int | None = field(
        default=None, metadata=_about("First frame of the range; of stacks the first time.")
    )
    last: int | None = field(default=None, metadata=_about("Last one, included."))
    along: str = field(default="both", metadata=_about("Movies of stacks: both, time or z."))
    patience: int | None = field(
        default=None, metadata=_about("Frames without an object after which it is given up.")
    )
    axes: str | None = field(default=None, metadata=_about("Order of the axes, such as TCYX."))
    channels: str | None = field(default=None, metadata=_about("One channel, or three: 2,1,0."))
    low: float | None = field(default=None, metadata=_about("Raw value shown as black."))
    high: float | None = field(default=None, metadata=_about("Raw value shown as white."))

    @classmethod
    def parse(cls, values: Mapping[str, Any], folder: Path) -> JobSpec:
        """Read a table of TOML or a row of CSV.

        Parameters
        ----------
        values : mapping
            By the names of the fields; empty text counts as not given.
        folder : Path
            What relative paths start from.

        Raises
        ------
        ValueError
            If a name is unknown or a value of the wrong kind.
        """
        known = {one.name for one in fields(cls)}
        strange = sorted(set(values) - known)
        if strange:
            raise ValueError(f"unknown {strange[0]!r}: a job has {', '.join(sorted(known))}")
        given = {key: value for key, value in values.items() if value not in ("", None)}
        read = {key: _value(key, value) for key, value in given.items()}
        for key in ("movie", "session", "prompts", "labels", "out"):
            if key in read:
                read[key] = _absolute(read[key], folder)
        return cls(**read)

    @property
    def seeds(self) -> tuple[SeedKind, ...]:
        """Where its prompts come from; one kind, or the job is wrong."""
        given = (self.session, self.prompts, self.labels, self.automatic)
        return tuple(kind for kind, value in zip(SEEDS, given, strict=True) if value)

    @property
    def predictor_options(self) -> PredictorOptions:
        """How the engine looks at its movie; ValueError for a value that is no choice."""
        return PredictorOptions(
            view=cast(ViewMode, self.view),
            divided=cast(Divided, self.divided),
            motion=cast(Motion, self.motion),
        )

    @property
    def title(self) -> str:
        """Its name, or that of its movie or session."""
        source = Path((self.movie or self.session or "").rstrip("/")).name
        return self.name or source.split(".")[0]

    @property
    def folder(self) -> Path:
        """Where its results will be."""
        return Path(self.out) / self.title


def _value(key: str, value: Any) -> Any:
    """Bring a value of TOML or CSV to the type of its field."""
    try:
        match key:
            case "outputs":
                parts = value.replace(";", " ").split() if isinstance(value, str) else value
                return tuple(dict.fromkeys(map(str, parts)))
            case "first" | "last" | "patience" | "every":
                return int(value)
            case "low" | "high" | "diameter":
                return float(value)
            case "automatic":
                return _truth(value)
            case "channels" if isinstance(value, list):
                return ",".join(map(str, value))
            case _:
                return str(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key} is {value!r}: {error}") from error


def _truth(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("write true or false")
    return text in ("true", "1", "yes")


def _absolute(path: str, folder: Path) -> str:
    if "://" in path:
        return path
    where = Path(path).expanduser()
    return str(where if where.is_absolute() else (folder / where).absolute())
