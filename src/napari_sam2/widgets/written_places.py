"""Frames as people write them: ``0, 4-6`` of a movie, ``t 3, z 7`` of stacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from napari_sam2.planes import PlaneGrid

__all__ = ["example", "parse_places"]

_PIECE = re.compile(r"([tz]?)\s*(\d+)(?:\s*-\s*(\d+))?", re.IGNORECASE)
_NAMES = {"t": "times", "z": "slices"}

Group = dict[str, list[int]]
"""Times and slices that belong together: all of these slices at all of these times."""


def example(grid: PlaneGrid) -> str:
    """Return how frames of such a movie are written."""
    return "0, 4-6" if grid.is_line else "t 3, z 0-7"


def parse_places(text: str, grid: PlaneGrid) -> list[int]:
    """Read a list of frames or, in stacks, of places in time and z.

    Parameters
    ----------
    text : str
        ``0, 4-6`` is 0, 4, 5, 6. In stacks ``t 3, z 7`` is one plane, ``t 3`` all slices of a
        time, ``z 7`` a slice at all times, ``t 0-2, z 3, 5`` six planes; a semicolon, or naming
        time anew, begins another place.
    grid : PlaneGrid
        The planes of the movie.

    Returns
    -------
    list of int
        Numbers of planes, each once, in the order written.

    Raises
    ------
    ValueError
        If something is neither a number nor a range, or not in the movie.
    """
    found = list(_frames(text, grid) if grid.is_line else _planes(text, grid))
    if not found:
        raise ValueError(f"no frame is named: write for example {example(grid)}")
    return list(dict.fromkeys(found))


def _frames(text: str, grid: PlaneGrid) -> Iterator[int]:
    for piece in filter(None, (one.strip() for one in text.split(","))):
        letter, numbers = _read(piece, grid)
        if letter:
            raise _unreadable(piece, grid)
        _check(numbers, len(grid), "frames")
        yield from numbers


def _planes(text: str, grid: PlaneGrid) -> Iterator[int]:
    for group in (one for part in text.split(";") for one in _groups(part, grid)):
        times, slices = group.get("t"), group.get("z")
        for time in range(grid.times) if times is None else times:
            for z in range(grid.slices) if slices is None else slices:
                yield grid.plane(time, z)


def _groups(part: str, grid: PlaneGrid) -> Iterator[Group]:
    """Yield the places that are written without a semicolon between them."""
    group: Group = {}
    last = ""
    for piece in filter(None, (one.strip() for one in part.split(","))):
        letter, numbers = _read(piece, grid)
        letter = letter or last
        if not letter:
            raise _unreadable(piece, grid)
        _check(numbers, grid.times if letter == "t" else grid.slices, _NAMES[letter])
        if letter != last and letter in group:
            yield group
            group = {}
        group.setdefault(letter, []).extend(numbers)
        last = letter
    if group:
        yield group


def _read(piece: str, grid: PlaneGrid) -> tuple[str, range]:
    """Return the letter of a piece, perhaps none, and its numbers."""
    match = _PIECE.fullmatch(piece)
    if match is None:
        raise _unreadable(piece, grid)
    letter, first, last = match.groups()
    return letter.lower(), range(int(first), int(last or first) + 1)


def _unreadable(piece: str, grid: PlaneGrid) -> ValueError:
    what = "frame and no range" if grid.is_line else "place in time and z"
    return ValueError(f"{piece!r} is no {what}: write for example {example(grid)}")


def _check(numbers: range, count: int, name: str) -> None:
    """Refuse what the movie does not have, before a slip of the finger is counted out."""
    if numbers.stop > count:
        raise ValueError(
            f"{name} are counted from 0 to {count - 1} in this movie: {numbers.stop - 1} is outside"
        )
