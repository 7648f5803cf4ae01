"""Compare with the live reference, every published network: ``make parity``.

Both get the same key-seeded weights and the same inputs, on the CPU in float32. The reference
keeps its memories in bfloat16; here it is made to keep them in float32 (``float_memory``). Exits
with 1 where anything is further apart than the tolerance.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from tests.parity import runs, verbs
from tests.parity.comparing import TOLERANCE, differing_pixels, relative_error
from tests.parity.defects import DEFECTS
from tests.parity.networks import PRESENCE_BIAS, RECORDED_SIZE, SMALL
from tests.parity.reference import build_reference, float_memory, quiet
from tests.parity.seeding import seeded_weights
from torch import Tensor

from napari_sam2.model.config import PRESETS, SAM2Config
from napari_sam2.model.sam2 import SAM2

_SIZE = 256
"""Input side that every network is compared at; what depends on it is computed, not learned."""

_MEMORY_TOLERANCE = 5e-4
"""Tolerance of the memories in a run. Each is made from masks as 20 sigmoid(logit) - 10, which
multiplies what a logit near zero is off by five, and shows one pixel at a time."""

_FULL_SIZE = ("sam2.1-tiny", "sam2-tiny")
"""Networks whose verbs are compared at 1024 pixels too."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    network: str
    size: int
    part: str
    tensors: int
    error: float
    pixels: int

    @property
    def is_equal(self) -> bool:
        """Whether it is within the tolerance, every mask identical away from ties."""
        tolerance = _MEMORY_TOLERANCE if self.part.endswith("memories") else TOLERANCE
        return self.error < tolerance and self.pixels == 0


def compare(config: SAM2Config, size: int, with_video: bool) -> Iterator[Row]:
    """Compare one network at one size.

    Parameters
    ----------
    config : SAM2Config
        A published preset.
    size : int
        Input side in pixels.
    with_video : bool
        Make the ten-frame run too.

    Yields
    ------
    Row
        One for each verb, and one for each part of the run.
    """
    reference = build_reference(config, size, PRESENCE_BIAS)
    model = SAM2(replace(config, input_size=size)).eval()
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    model.load_state_dict(seeded_weights(shapes, PRESENCE_BIAS), strict=True)
    theirs = verbs.theirs(reference, config)
    yield from _rows(config, size, verbs.ours(model, size), theirs)
    if with_video:
        with quiet(), float_memory():
            theirs = runs.their_run(reference)
        yield from _rows(config, size, runs.our_run(model, size, theirs), theirs)


def _rows(
    config: SAM2Config, size: int, ours: dict[str, Tensor], theirs: dict[str, Tensor]
) -> Iterator[Row]:
    if set(ours) != set(theirs):
        raise RuntimeError(f"only one side has {sorted(set(ours) ^ set(theirs))}")
    parts = dict.fromkeys(_part(name) for name in theirs)
    for part in parts:
        names = [name for name in theirs if _part(name) == part]
        masks = [name for name in names if name.endswith("logits")]
        yield Row(
            config.name,
            size,
            part,
            len(names),
            max(relative_error(ours[name], theirs[name]) for name in names),
            sum(differing_pixels(ours[name], theirs[name]) for name in masks),
        )


def _part(name: str) -> str:
    first, second = name.split(".")[:2]
    if first in {"first", "corrected"}:
        kind = "prompts" if second.startswith("prompt") else "frames"
        if name.endswith(".memory"):
            kind = "memories"
        return f"video, {first} run, {kind}"
    return first


def _table(rows: list[Row]) -> Table:
    table = Table(
        title=f"float32, CPU, torch {torch.__version__}; tolerance {TOLERANCE:g}, "
        f"of memories {_MEMORY_TOLERANCE:g}"
    )
    for column in ("network", "input", "what", "tensors", "largest error", "pixels", ""):
        table.add_column(column, justify="right" if column in {"input", "tensors"} else "left")
    for row in rows:
        cells = (row.network, str(row.size), row.part, str(row.tensors), f"{row.error:.1e}")
        verdict = "equal" if row.is_equal else "[bold red]DIFFERS"
        table.add_row(*cells, str(row.pixels), verdict)
    return table


def _defects() -> Table:
    reference = build_reference(SMALL["2.1"], RECORDED_SIZE, PRESENCE_BIAS)
    table = Table(title="defects of the reference")
    for column in ("defect", "the reference has it", "this project is right"):
        table.add_column(column)
    with quiet():
        for defect in DEFECTS:
            found, right = defect.theirs(reference), defect.ours()
            table.add_row(defect.name, "yes" if found else "[red]NO", "yes" if right else "[red]NO")
    return table


def main() -> int:
    """Compare the networks that the command line names, all by default."""
    published = [name for name in PRESETS if name.startswith("sam2")]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(published)}")
    chosen = parser.parse_args().networks or published
    if unknown := set(chosen) - set(published):
        parser.error(f"unknown network {', '.join(sorted(unknown))}: choose of {published}")
    console = Console(width=110)
    rows: list[Row] = []
    for name in chosen:
        started = perf_counter()
        rows += compare(PRESETS[name], _SIZE, with_video=True)
        if name in _FULL_SIZE:
            rows += compare(PRESETS[name], PRESETS[name].input_size, with_video=False)
        sys.stderr.write(f"{name}: {perf_counter() - started:.0f} s\n")
    console.print(_table(rows))
    defects = _defects()
    console.print(defects)
    different = sum(not row.is_equal for row in rows)
    wrong = sum("NO" in str(cell) for column in defects.columns[1:] for cell in column.cells)
    console.print(f"{len(rows) - different} of {len(rows)} parts are equal, {wrong} defects amiss")
    return int(bool(different or wrong))


if __name__ == "__main__":
    sys.exit(main())
