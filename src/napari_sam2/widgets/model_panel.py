"""The part of the dock that says which network is in use, where it runs and how fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from napari_sam2.widgets.fine_tune_dialog import FineTuneDialog, open_dialog
from napari_sam2.widgets.models import choices
from napari_sam2.widgets.object_panel import plain_button

if TYPE_CHECKING:
    from napari_sam2.widgets.controller import SegmentationController
    from napari_sam2.widgets.preferences import Preferences

FILE = "File…"
_WEIGHTS = "Weights (*.safetensors *.pt *.pth)"
_DEVICE_TITLES = {"": "Automatic", "cpu": "CPU", "mps": "Apple GPU"}
_PRECISIONS = {
    "": "Automatic",
    "float32": "float32",
    "bfloat16": "bfloat16",
    "float16": "float16",
}


class ModelPanel(QWidget):
    """Network, device, precision, memory, and one line that says what is in use.

    Parameters
    ----------
    controller : SegmentationController
        Its `models` do the work.
    preferences : Preferences
        Keeps what was chosen.
    """

    def __init__(self, controller: SegmentationController, preferences: Preferences) -> None:
        super().__init__()
        self._models = controller.models
        self._preferences = preferences
        self.model_box = narrow_box(
            "The network. The bundled one needs no download and suits cells; the official ones\n"
            "are fetched when first chosen. File… opens weights of your own.\n"
            'sam2.load_model("sam2.1-tiny")'
        )
        self.device_box = narrow_box(
            "Where the network runs; asking for what is not there is an error, never a switch\n"
            'sam2.load_model("bundled", device="cpu")'
        )
        self.precision_box = narrow_box(
            "Precision of the large products; Automatic is bfloat16 on GPUs that have it\n"
            'sam2.load_model("bundled", dtype="float32")'
        )
        self.memory_box = QSpinBox()
        self.test_button = plain_button(
            "Self-test",
            "Encode a frame and track a cell with this network, device and precision;\n"
            "takes some seconds and ends a run that is under way\nsam2.models.test()",
            self._models.test,
        )
        self.tune_button = plain_button(
            "Fine-tune…",
            "Teach a network the masks of this movie, in the background\n"
            "napari-sam2 train lesson.toml",
            lambda: open_dialog(controller, preferences, self),
        )
        self.line_label = QLabel()
        self.bar = QProgressBar()
        self.stop_button = plain_button(
            "Stop",
            "Stop the download; what has arrived is kept and gone on with the next time\n"
            "sam2.models.stop_download()",
            self._models.stop_download,
        )
        self._arrange()
        self.model_box.activated.connect(self._choose_model)
        self.device_box.activated.connect(self._choose_place)
        self.precision_box.activated.connect(self._choose_place)
        self.memory_box.editingFinished.connect(self._choose_memory)
        self._models.changed.connect(self._show)
        self.list_networks()
        self._show()

    def list_networks(self) -> None:
        """Fill the box with the networks that there are now."""
        self._listed = self._available()
        model, group = QStandardItemModel(), ""
        for choice in choices():
            if choice.group != group:
                group = choice.group
                model.appendRow(_heading(group))
            model.appendRow(_entry(choice.title, choice.name))
        model.appendRow(_heading("Your own"))
        known = {model.item(row).data(Qt.ItemDataRole.UserRole) for row in range(model.rowCount())}
        if self._models.name and self._models.name not in known:
            model.appendRow(_entry(Path(self._models.name).name, self._models.name))
        model.appendRow(_entry(FILE, FILE))
        self.model_box.setModel(model)
        self._show_name()

    def _available(self) -> tuple[str, ...]:
        """Return what the box would list now."""
        return (*(choice.title for choice in choices()), self._models.name)

    def _arrange(self) -> None:
        for value, title in _PRECISIONS.items():
            self.precision_box.addItem(title, value)
        self.precision_box.setCurrentIndex(self.precision_box.findData(self._preferences.dtype))
        self.memory_box.setRange(0, 65536)
        self.memory_box.setSuffix(" MB kept")
        self.memory_box.setValue(self._preferences.megabytes)
        self.memory_box.setToolTip(
            "Most memory for encoded frames of a movie: a click on a frame that is kept is quick\n"
            "sam2.models.limit_memory(256)"
        )
        self.line_label.setWordWrap(True)
        self.bar.setTextVisible(True)
        self.stop_button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Network", self.model_box)
        layout.addRow("Device", _row(self.device_box, self.precision_box))
        layout.addRow("Memory", self.memory_box)
        layout.addRow(_row(self.test_button, self.tune_button))
        self._download_row = _row(self.bar, self.stop_button)
        layout.addRow(self._download_row)
        layout.addRow(self.line_label)

    def shut_down(self) -> None:
        """End what goes on in the background."""
        for dialog in self.findChildren(FineTuneDialog):
            dialog.shut_down()

    def _show(self) -> None:
        """Show what is in use and what is on its way."""
        self.line_label.setText(self._models.line)
        is_downloading = self._models.is_downloading and self._models.coming is not None
        self._download_row.setVisible(is_downloading)
        coming = self._models.coming
        if coming is not None and is_downloading:
            self.bar.setMaximum(max(1, coming.total // 1000))
            self.bar.setValue(coming.done // 1000)
            self.bar.setFormat(f"{coming.done / 1e6:.0f} of {coming.total / 1e6:.0f} MB")
        self.test_button.setEnabled(bool(self._models.name) and not self._models.is_testing)
        self._show_devices()
        if self._listed != self._available():
            self.list_networks()
        self._show_name()

    def _show_name(self) -> None:
        coming = self._models.coming
        name = self._models.name if coming is None else coming.name
        self.model_box.setCurrentIndex(self.model_box.findData(name))

    def _show_devices(self) -> None:
        values = ["", *self._models.devices]
        if [self.device_box.itemData(row) for row in range(self.device_box.count())] == values:
            return
        self.device_box.clear()
        for value in values:
            self.device_box.addItem(_DEVICE_TITLES.get(value, value.upper()), value)
        found = self.device_box.findData(self._preferences.device)
        self.device_box.setCurrentIndex(max(0, found))

    def _choose_model(self, row: int) -> None:
        name = self.model_box.itemData(row)
        if name == FILE:
            name, _ = QFileDialog.getOpenFileName(self, "Open a network", "", _WEIGHTS)
        if not name:
            self._show_name()
            return
        self._load(name)

    def _choose_place(self) -> None:
        device, dtype = self.device_box.currentData(), self.precision_box.currentData()
        self._preferences.keep(device=device, dtype=dtype)
        self._load(self._models.name or self._preferences.model or "bundled")

    def _choose_memory(self) -> None:
        megabytes = self.memory_box.value()
        if megabytes != self._preferences.megabytes:
            self._preferences.keep(megabytes=megabytes)
            self._models.limit_memory(megabytes)

    def _load(self, name: str) -> None:
        self._preferences.keep(model=name)
        self._models.load(
            name, self.device_box.currentData() or None, self.precision_box.currentData() or None
        )


def narrow_box(tool_tip: str) -> QComboBox:
    """Return a combo box that may become narrower than its longest entry."""
    box = QComboBox()
    box.setToolTip(tool_tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def _row(*parts: QWidget) -> QWidget:
    """Return widgets side by side."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
    return row


def _heading(text: str) -> QStandardItem:
    item = QStandardItem(text)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    return item


def _entry(title: str, name: str) -> QStandardItem:
    item = QStandardItem(title)
    item.setData(name, Qt.ItemDataRole.UserRole)
    item.setToolTip(name)
    return item
