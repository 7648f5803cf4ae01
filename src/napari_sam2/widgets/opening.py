"""Commands of the menu: the dock of a viewer, and the page of its keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import napari.viewer

from napari_sam2.io.session_file import SUFFIX

if TYPE_CHECKING:
    from napari_sam2.widgets.dock import TrackWidget


def open_dock(viewer: napari.viewer.Viewer) -> TrackWidget:
    """Return the dock of a viewer; it is opened, or shown again, if need be."""
    from napari_sam2.widgets.dock import TrackWidget

    window = viewer.window
    for widget in window._qt_window.findChildren(TrackWidget):
        if widget.isEnabled():
            widget.parentWidget().show()
            return widget
    _, widget = window.add_plugin_dock_widget("napari-sam2", "Segment and track")
    return widget


def prefer_sessions() -> None:
    """Have napari open session folders without asking which plugin is meant.

    Napari's own reader takes any folder for one of pictures, so it asks; its settings keep the
    answer by the ending of the name, and this ending is ours. What a user chose there stays.
    """
    from napari.settings import get_settings

    plugins, pattern = get_settings().plugins, f"*{SUFFIX}{os.sep}"
    if pattern not in plugins.extension2reader:
        plugins.extension2reader = {**plugins.extension2reader, pattern: "napari-sam2"}


def show_keys(viewer: napari.viewer.Viewer) -> None:
    """Show what every key does, and the line of Python that does the same."""
    from napari_sam2.widgets.help_page import HelpPage

    HelpPage(viewer.window._qt_window).show()
