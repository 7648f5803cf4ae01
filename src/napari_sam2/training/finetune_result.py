"""The result of a fine-tuning: a file of weights in the list of networks, and its card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import save_file

from napari_sam2 import __version__
from napari_sam2.io.writing import refuse_overwrite, writing_whole
from napari_sam2.model.registry import trained_model
from napari_sam2.training.finetune import Outcome
from napari_sam2.training.finetune_data import Lessons
from napari_sam2.training.finetune_measure import Figures
from napari_sam2.training.finetune_options import FineTuneOptions

__all__ = ["Report", "card", "publish", "refuse_taken"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a fine-tuning brought on the data that was kept back.

    Attributes
    ----------
    before, after : Figures or None
        None where nothing was kept back.
    """

    before: Figures | None
    after: Figures | None

    def table(self) -> str:
        """Return a Markdown table, or a line that says why there is none."""
        if self.before is None or self.after is None:
            return "Nothing was kept back, so nothing says what it brought.\n"
        after = self.after.describe()
        lines = ["| mean IoU on data kept back | before | after |", "| --- | --- | --- |"]
        lines += [
            f"| {name} | {value:.3f} | {after.get(name, float('nan')):.3f} |"
            for name, value in self.before.describe().items()
        ]
        return "\n".join(lines) + "\n"


def refuse_taken(name: str, *, overwrite: bool) -> None:
    """Raise before hours are spent if there is a network of this name already.

    Raises
    ------
    ValueError
        If the name cannot be used at all.
    FileExistsError
        If it is taken and may not be replaced.
    """
    refuse_overwrite(trained_model(name).path(), overwrite=overwrite)


def publish(
    options: FineTuneOptions,
    lessons: Lessons,
    outcome: Outcome,
    report: Report,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the network and its card where `napari-sam2 models list` finds them.

    Returns
    -------
    Path
        The file of weights; the card is beside it, with the ending ``.md``.

    Raises
    ------
    FileExistsError
        If there is one of this name and `overwrite` is off.
    OSError
        If the disk is full; nothing that was there has changed.
    """
    path = trained_model(options.name).path()
    refuse_overwrite(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    config = outcome.model.config
    metadata = {
        "format": "napari-sam2",
        "config": config.name,
        "version": config.version,
        "views": "follow",
        "start": options.start,
        "steps": str(outcome.standing.step),
        "seconds": str(round(outcome.standing.elapsed)),
    }
    tensors = {k: v.detach().contiguous() for k, v in outcome.model.state_dict().items()}
    # The card first: a network that is listed has one.
    with writing_whole(path.with_suffix(".md"), overwrite=True) as unfinished:
        unfinished.write_text(card(options, lessons, outcome, report), encoding="utf-8")
    with writing_whole(path, overwrite=True) as unfinished:
        save_file(tensors, unfinished, metadata=metadata)
        unfinished.chmod(0o644)
    return path


def card(options: FineTuneOptions, lessons: Lessons, outcome: Outcome, report: Report) -> str:
    """Return what a user of the network should know, as Markdown."""
    standing = outcome.standing
    ended = "to its end" if outcome.is_complete else "until it was stopped"
    changed = {
        name: value
        for name, value in vars(options).items()
        if value != getattr(FineTuneOptions, name) and name not in ("name", "start")
    }
    said = ", ".join(f"{name} = {value}" for name, value in changed.items()) or "all defaults"
    lines = [
        f"# {options.name}",
        "",
        f"Fine-tuned from `{options.start}` ({outcome.model.config.name}) on "
        f"{datetime.now(UTC):%Y-%m-%d} with napari-sam2 {__version__}: {standing.step} steps, "
        f"{standing.elapsed / 60:.1f} minutes, {ended}.",
        "",
        "## Data",
        "",
        *(f"- It {line}." for line in lessons.describe()),
        *(f"- {line}" for line in lessons.fingerprint()[:50]),
        "",
        "## Options",
        "",
        f"{said}.",
        "",
        "## Figures",
        "",
        report.table(),
        "Asked through the predictor, in views that follow the objects: one click in the middle "
        "of each, two corrective clicks, and the frames after a mask or a click was given.",
        "",
        "## Limits",
        "",
        "It knows the images that it was shown, and may have forgotten others. The conditions of "
        "use of those images, and of the network that it started from, hold for it.",
    ]
    return "\n".join(lines) + "\n"
