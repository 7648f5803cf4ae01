"""Options of a search for objects on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2.predictor.automatic_options import help_of, parse_options

if TYPE_CHECKING:
    from napari_sam2.predictor.automatic_options import AutomaticOptions, FindOptions

__all__ = ["Auto", "Diameter", "Every", "Settings", "search_options"]

Auto = Annotated[
    bool, typer.Option("--auto", help="Find the objects, newcomers too, without a prompt.")
]
Diameter = Annotated[
    float | None, typer.Option(help=f"With --auto. {help_of('diameter')}", min=3.0)
]
Every = Annotated[int | None, typer.Option(help=f"With --auto. {help_of('every')}", min=1)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="With --auto: another option, such as least_iou=0.8. Repeatable."),
]


def search_options(
    is_wanted: bool,
    diameter: float | None,
    every: int | None,
    settings: Iterable[str],
    frames: tuple[int | None, int | None],
) -> tuple[FindOptions, AutomaticOptions] | None:
    """Return what kind of search is asked for, None if there is to be none.

    Parameters
    ----------
    is_wanted : bool
    diameter, every
        Of options that have a name of their own.
    settings : iterable of str
        ``name=value`` of others.
    frames : tuple of (int or None, int or None)
        First and last frame.

    Raises
    ------
    ValueError
        If an option is unknown, out of bounds, or given without a search.
    """
    named = {"diameter": diameter, "every": every, "start": frames[0], "stop": frames[1]}
    values = {name: str(value) for name, value in named.items() if value is not None}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text!r}: write name=value, such as least_iou=0.8")
        values[name.strip()] = value.strip()
    if is_wanted:
        return parse_options(values)
    if set(values) - {"start", "stop"}:
        raise ValueError("--diameter, --every and --set are for a search: add --auto")
    return None
