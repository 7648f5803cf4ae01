"""What a fine-tuning can be told, declared once, and the TOML file that says it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from napari_sam2.model.registry import trained_model
from napari_sam2.training.readers import DataEntry

__all__ = ["FineTuneConfig", "FineTuneOptions", "example_config", "read_config"]

Learn = Literal["decoder", "memory+decoder", "adapters", "everything"]
Precision = Literal["auto", "float32", "bfloat16"]


def _option(default: Any, title: str, text: str, *bounds: float) -> Any:
    """Dataclass field with the metadata that forms, the command line and the example read."""
    metadata: dict[str, Any] = {"title": title, "help": text}
    return field(default=default, metadata=metadata | ({"bounds": bounds} if bounds else {}))


@dataclass(frozen=True)
class FineTuneOptions:
    """Options of one fine-tuning.

    Raises
    ------
    ValueError
        When a value is none of its choices or outside its bounds; names it and what is possible.
    """

    name: str = _option("my-cells", "Name", "Name of the network that is made")
    start: str = _option(
        "bundled", "Start from", "A name that `napari-sam2 models list` shows, or a weights file"
    )
    learn: Learn = field(
        default="decoder",
        metadata={
            "title": "What learns",
            "help": "decoder (answers to prompts), memory+decoder (how objects are followed, too), "
            "adapters (also low-rank ones on the image encoder), or everything",
        },
    )
    minutes: float = _option(
        10.0, "Minutes", "Time that the schedule is fitted into; 0 to count steps", 0, 1e5
    )
    steps: int = _option(0, "Steps", "Length of the schedule when minutes is 0", 0, 10**8)
    passes: float = _option(
        10.0,
        "Passes",
        "Steps of a round for each mask that teaches, but two hundred at least; the result is the "
        "mean of as many rounds as there is time for. 0 for one long round",
        0,
        1e6,
    )
    learning_rate: float = _option(3e-4, "Learning rate", "Peak of the cosine", 1e-8, 1)
    encoder_rate: float = _option(
        0.3, "Encoder rate", "Rate of the image encoder over that of the rest", 0, 1
    )
    adapter_rank: int = _option(4, "Adapter rank", "Rank of the adapters", 1, 256)
    weight_decay: float = _option(0.01, "Weight decay", "Of matrices, not of biases", 0, 1)
    muon: bool = field(
        default=True,
        metadata={"title": "Muon", "help": "Move matrices by Muon instead of AdamW"},
    )
    gradient_norm: float = _option(1.0, "Gradient norm", "Clipped at this", 1e-6, 1e6)
    ema_decay: float = _option(0.99, "EMA decay", "Of the averaged weights", 0, 1)
    still_share: float = _option(
        0.75, "Single frames", "Share of steps that learn to answer clicks and boxes", 0, 1
    )
    stills_a_step: int = _option(4, "Stills a step", "Windows in a step of single frames", 1, 256)
    frames_a_step: int = _option(8, "Frames a step", "Frames in a step of clips", 2, 256)
    objects_a_window: int = _option(3, "Objects a window", "Objects asked for at once", 1, 64)
    validation: float = _option(
        0.2, "Kept back", "Share of the data that measures and never teaches", 0, 0.5
    )
    validations: int = _option(
        4, "Validations", "How often the network is measured on the way", 1, 1000
    )
    patience: int = _option(
        3, "Patience", "Validations without a gain that end the run; 0 for never", 0, 1000
    )
    device: str = _option("", "Device", "cpu, cuda, cuda:1 or mps; the fastest there is if empty")
    precision: Precision = field(
        default="auto",
        metadata={
            "title": "Precision",
            "help": "bfloat16, float32, or auto: bfloat16 where the device multiplies it natively",
        },
    )
    seed: int = _option(0, "Seed", "Seed of windows and prompts", 0, 2**31 - 1)

    def __post_init__(self) -> None:
        """Check every value against what is declared."""
        _check_types(self)
        for entry in fields(self):
            bounds, value = entry.metadata.get("bounds"), getattr(self, entry.name)
            if bounds is not None and not bounds[0] <= value <= bounds[1]:
                raise ValueError(f"{entry.name} = {value} is outside {bounds[0]} to {bounds[1]}")
        if self.minutes == 0 and self.steps == 0:
            raise ValueError("minutes and steps are both 0: set one of them")
        trained_model(self.name)


@dataclass(frozen=True)
class FineTuneConfig:
    """A file that says what to learn from and how.

    Attributes
    ----------
    options : FineTuneOptions
    data : tuple of DataEntry
    base : Path
        Folder that relative paths start from: that of the file.
    """

    options: FineTuneOptions
    data: tuple[DataEntry, ...]
    base: Path


def read_config(path: Path) -> FineTuneConfig:
    """Read a TOML file with ``[[data]]`` entries and ``[options]``.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no TOML, or holds a key or value that is not known; says which.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: `napari-sam2 train --example > {path.name}` writes one"
        )
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}") from error
    _refuse_unknown(found, {"data", "options"}, str(path))
    entries = found.get("data", [])
    entries = entries if isinstance(entries, list) else [entries]
    if not entries:
        raise ValueError(f"{path} names no data: write at least one [[data]] entry")
    options = _make(FineTuneOptions, found.get("options", {}), f"[options] of {path}")
    data = tuple(_make(DataEntry, entry, f"[[data]] of {path}") for entry in entries)
    return FineTuneConfig(options, data, path.absolute().parent)


def example_config() -> str:
    """Return a commented file with every option at its default."""
    lines = ["# Where the annotated images are; one entry for each movie or folder.", "[[data]]"]
    lines += ['path = "results"  # a folder: ' + _help(DataEntry, "path"), "", "# or", "# [[data]]"]
    shown = {"images": "movie.tif", "labels": "movie_labels.tif", "frames": "0-9"}
    for entry in fields(DataEntry):
        if entry.name != "path":
            value = shown.get(entry.name, entry.default)
            lines.append(f"# {entry.name} = {_toml(value)}  # {entry.metadata['help']}")
    lines += ["", "[options]"]
    for entry in fields(FineTuneOptions):
        lines.append(f"{entry.name} = {_toml(entry.default)}  # {entry.metadata['help']}")
    return "\n".join(lines) + "\n"


def _make(kind: type[Any], values: Any, where: str) -> Any:
    """Make a dataclass of a table of the file."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} is {values!r} and no table of names with values")
    _refuse_unknown(values, {entry.name for entry in fields(kind)}, where)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def _refuse_unknown(values: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(values.keys() - known)
    if unknown:
        raise ValueError(f"{where} has {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _check_types(options: FineTuneOptions) -> None:
    """Refuse a text where a number belongs, and a word that is no choice."""
    kinds = get_type_hints(type(options))
    for entry in fields(options):
        kind, value = kinds[entry.name], getattr(options, entry.name)
        if get_origin(kind) is Literal:
            if value not in get_args(kind):
                choices = ", ".join(map(repr, get_args(kind)))
                raise ValueError(f"{entry.name} = {value!r}: choose one of {choices}")
            continue
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{entry.name} = {value!r} is no {kind.__name__}")


def _help(kind: type[Any], name: str) -> str:
    found: Field[Any] = next(entry for entry in fields(kind) if entry.name == name)
    return str(found.metadata["help"])


def _toml(value: Any) -> str:
    if value is MISSING:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"
