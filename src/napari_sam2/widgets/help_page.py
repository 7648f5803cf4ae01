"""One page with every key, made from the table that binds them."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from napari_sam2.widgets.keys import KEYS

_INTRODUCTION = """
<p>Click a cell, look at its mask, track it, correct it where it goes wrong.</p>
<p>The keys work while the canvas has the keyboard: click into it once. In Python, <code>sam2</code>
is the dock's controller:</p>
<pre>dock, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "Segment and track")
sam2 = widget.controller</pre>
"""
_MOUSE = (
    ("Left click", "This belongs to the object"),
    ("Right click, or Alt and left click", "This does not"),
)


class HelpPage(QDialog):
    """Keys, mouse, and the same in Python.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Segment and track: keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.page = QTextBrowser()
        self.page.setHtml(page())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.page)
        layout.addWidget(buttons)
        self.resize(760, 560)


def page() -> str:
    """Return the page as HTML."""
    keys = "".join(
        f"<tr><td><b>{escape(key.key)}</b></td><td>{escape(key.text)}</td>"
        f"<td><code>{escape(key.code)}</code></td></tr>"
        for key in KEYS.values()
    )
    mouse = "".join(
        f"<tr><td><b>{escape(what)}</b></td><td>{escape(text)}</td><td></td></tr>"
        for what, text in _MOUSE
    )
    head = "<tr><th align='left'>Key</th><th align='left'>What it does</th>"
    head += "<th align='left'>In Python</th></tr>"
    return f"{_INTRODUCTION}<table cellpadding='4'>{head}{mouse}{keys}</table>"
