"""What is written as text on the command line: points, boxes, frames, channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_sam2.planes import PlaneGrid
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt

__all__ = ["collect_prompts", "parse_channels", "parse_frames"]

_NEW = 0
"""Stands for an object that has no id yet."""


def collect_prompts(
    points: Iterable[str],
    boxes: Iterable[str],
    others: Iterable[Prompt] = (),
    grid: PlaneGrid | None = None,
    *,
    may_be_none: bool = False,
) -> list[Prompt]:
    """Return the prompts of a file and of the command line, with ids for those without.

    Parameters
    ----------
    points : iterable of str
        ``T,Y,X``, ``T,Y,X,OBJECT`` or ``T,Y,X,OBJECT,-`` (a negative click).
    boxes : iterable of str
        ``T,Y0,X0,Y1,X1`` or ``T,Y0,X0,Y1,X1,OBJECT``.
    others : iterable of Prompt
        Prompts that are complete; their ids are taken.
    grid : PlaneGrid, optional
        Of a movie of stacks: points and boxes then have Z after T.
    may_be_none : bool
        Whether no prompt at all is no error.

    Returns
    -------
    list of Prompt
        A point or box without an object is an object of its own, with the next free id.

    Raises
    ------
    ValueError
        If a text has none of these forms, or there is no prompt at all.
    """
    if grid is not None and not grid.is_line:
        points = [_plane_first(text, grid, "--point") for text in points]
        boxes = [_plane_first(text, grid, "--box") for text in boxes]
    given = [*others, *map(_point, points), *map(_box, boxes)]
    if not given and not may_be_none:
        raise ValueError(
            "no prompt is given, so there is nothing to track: use --point T,Y,X, "
            "--box T,Y0,X0,Y1,X1, --prompts FILE, or --auto to find objects"
        )
    taken = {prompt.object_id for prompt in given}
    free = (number for number in range(1, len(given) + len(taken) + 1) if number not in taken)
    return [
        replace(prompt, object_id=next(free))
        if not isinstance(prompt, MaskPrompt) and prompt.object_id == _NEW
        else prompt
        for prompt in given
    ]


def parse_frames(text: str | None) -> tuple[int | None, int | None]:
    """Return the first and the last frame of ``A:B``, ``A:`` or ``:B``; None where it is left out.

    Raises
    ------
    ValueError
        If the text has none of these forms.
    """
    if text is None:
        return None, None
    start, colon, stop = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return (int(start) if start else None), (int(stop) if stop else None)
    except ValueError:
        raise ValueError(
            f"--frames {text!r} is no range: write first:last, such as 0:20, 5: or :20"
        ) from None


def parse_channels(text: str | None) -> tuple[int, int, int] | None:
    """Return the channels for red, green and blue of ``"0"`` or ``"2,1,0"``.

    Raises
    ------
    ValueError
        If it is not one number or three.
    """
    if text is None:
        return None
    try:
        numbers = [int(part) for part in text.split(",")]
        red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError:
        raise ValueError(
            f"--channels {text!r} is neither one channel nor three: write 0 or 2,1,0"
        ) from None
    return red, green, blue


def _plane_first(text: str, grid: PlaneGrid, option: str) -> str:
    """Return a point or box of a movie of stacks with the number of its plane in place of T,Z."""
    time, _, rest = text.partition(",")
    z, _, rest = rest.partition(",")
    try:
        plane = grid.plane(int(time), int(z))
    except ValueError:
        plane = -1
    if plane < 0:
        raise ValueError(
            f"{option} {text!r} does not begin with a time T and a slice Z of this movie of "
            f"stacks: it has T 0 to {grid.times - 1} and Z 0 to {grid.slices - 1}; write for "
            "example 0,3,40.5,52 for T,Z,Y,X"
        )
    return f"{plane},{rest}"


def _point(text: str) -> PointPrompt:
    """Read ``T,Y,X[,OBJECT[,+|-]]``."""
    parts = [part.strip() for part in text.split(",")]
    try:
        frame, y, x = int(parts[0]), float(parts[1]), float(parts[2])
        object_id = _object(parts[3]) if len(parts) > 3 else _NEW
        sign = parts[4] if len(parts) > 4 else "+"
        if len(parts) > 5 or sign not in ("+", "-"):
            raise ValueError
    except (ValueError, IndexError):
        raise ValueError(
            f"--point {text!r} is not T,Y,X[,OBJECT[,-]]: write for example 0,40.5,52 or "
            "0,40.5,52,3,- for a place that is not object 3"
        ) from None
    return PointPrompt(object_id, frame, (y, x), sign == "+")


def _box(text: str) -> BoxPrompt:
    """Read ``T,Y0,X0,Y1,X1[,OBJECT]``."""
    parts = [part.strip() for part in text.split(",")]
    try:
        y0, x0, y1, x1 = map(float, parts[1:5])
        object_id = _object(parts[5]) if len(parts) > 5 else _NEW
        if len(parts) > 6:
            raise ValueError
        return BoxPrompt(object_id, int(parts[0]), (y0, x0, y1, x1))
    except ValueError:
        raise ValueError(
            f"--box {text!r} is not T,Y0,X0,Y1,X1[,OBJECT]: write for example 0,30,40,60,75"
        ) from None


def _object(text: str) -> int:
    """Read an object id, which is at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number
