"""Time beside the live reference: frames with 1, 4 and 16 objects, first and further clicks."""

from __future__ import annotations

from rich.table import Table
from tests.benchmarks.report import progress, seconds
from tests.benchmarks.sides import Remote

TARGETS = {"1 object": 0.6, "16 objects": 0.5, "further click": 0.1}
"""Largest ratios to the reference that this project set itself."""


def run(rounds: int, objects: tuple[int, ...], device: str = "cpu") -> Table:
    """Time both sides in turns.

    Parameters
    ----------
    rounds : int
        Turns of each side; the best counts, since all that a busy machine does is add.
    objects : tuple of int
        Numbers of objects.
    device : str
        Of both sides; on a GPU both autocast to bfloat16, as their users are told to.
    """
    ours, theirs = Remote("ours", device), Remote("reference", device)
    table = Table(title="sam2.1-tiny, 1024 pixels, full memory bank")
    for column in ("what", "this project", "reference", "ratio", "target"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def compare(name: str, call: str, times: int) -> None:
        progress(name)
        pairs = [(ours.time(call), theirs.time(call)) for _ in range(times)]
        mine, other = (min(column) for column in zip(*pairs, strict=True))
        target = TARGETS.get(name)
        table.add_row(
            name, seconds(mine), seconds(other), f"{mine / other:.2f}", f"{target or '':}"
        )

    try:
        compare("first click, movie just opened", "first_click", rounds)
        for count in objects:
            name = f"{count} object" + "s" * (count > 1)
            for side in (ours, theirs):
                side.time("open", count)
                # Neither side pays for its first call; a GPU loads its kernels for each size.
                if count == objects[0] or device != "cpu":
                    side.time("frame")
            compare(name, "frame", rounds if count < 16 else max(1, rounds - 1))
            if count == objects[0]:
                for side in (ours, theirs):
                    side.time("click_again")  # the first click on a tracked frame
                compare("further click", "click_again", 2 * rounds)
    finally:
        ours.close()
        theirs.close()
    return table
