"""Libraries that only some files need, and what to install where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["needs"]


def needs(module: str, what: str) -> None:
    """Refuse to begin what a missing library is needed for.

    Raises
    ------
    RuntimeError
        If `module` cannot be imported; the message names the extra.
    """
    if find_spec(module) is None:
        raise RuntimeError(
            f"{what} needs the library {module!r}: install it with pip install 'napari-sam2[files]'"
        )
