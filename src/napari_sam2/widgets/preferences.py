"""What the next session of napari should begin with: the user's last choices."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from qtpy.QtCore import QSettings

NAME = "napari-sam2"


@dataclass(slots=True)
class Preferences:
    """Choices that are kept between sessions of napari, of every window.

    Attributes
    ----------
    model : str
        Name or file of the network; empty for the bundled one.
    device, dtype : str
        As `Models.load` takes them; empty for what suits this machine.
    megabytes : int
        Most memory for encoded frames of a movie.
    follow : bool
        Whether the slider follows a run.
    minutes : float
        How long a fine-tuning takes.
    open_folds : str
        Names of the parts of the dock that are open, with spaces between.
    """

    model: str = ""
    device: str = ""
    dtype: str = ""
    megabytes: int = 64
    follow: bool = True
    minutes: float = 10.0
    open_folds: str = "divisions"

    @classmethod
    def load(cls) -> Preferences:
        """Return what was kept; a value that makes no sense any more is the default."""
        store, found = _store(), cls()
        for one in fields(cls):
            default = getattr(found, one.name)
            try:
                setattr(found, one.name, _read(store.value(one.name), default))
            except (TypeError, ValueError):
                continue
        return found

    def is_open(self, fold: str) -> bool:
        """Whether a part of the dock is open."""
        return fold in self.open_folds.split()

    def keep_open(self, fold: str, is_open: bool) -> None:
        """Note whether a part of the dock is open."""
        others = [name for name in self.open_folds.split() if name != fold]
        self.keep(open_folds=" ".join([*others, fold] if is_open else others))

    def keep(self, **changes: Any) -> None:
        """Change values and write them."""
        store = _store()
        for name, value in changes.items():
            setattr(self, name, value)
            store.setValue(name, value)


def _store() -> QSettings:
    # A file of its own on every system, so that it can be found, copied and deleted.
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, NAME, NAME)


def _read(text: Any, default: Any) -> Any:
    if text is None:
        return default
    if isinstance(default, bool):
        return str(text).lower() == "true"
    return type(default)(text)
