"""What a controller tells the panels."""

from __future__ import annotations

from typing import Literal

from psygnal import Signal, SignalGroup

from napari_sam2.widgets import messages
from napari_sam2.widgets.status import Status

RunState = Literal["idle", "running", "paused"]


class ControllerEvents(SignalGroup):
    """What panels may want to know; all are emitted on the window's thread."""

    image_changed = Signal(object)
    """The image layer in work, or None."""
    run_changed = Signal(str)
    """A `RunState`."""
    progressed = Signal(messages.Progress)
    """How far the run is."""
    status_changed = Signal(Status)
    """What to tell the user."""
