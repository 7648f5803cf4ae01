"""Which network is in use, how fast it is here, and how another one comes; free of Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_sam2.model.registry import ModelFile, available_models
from napari_sam2.widgets import messages
from napari_sam2.widgets.fetching import Fetching
from napari_sam2.widgets.self_test import SelfTest
from napari_sam2.widgets.status import Status, loading_status

if TYPE_CHECKING:
    from napari_sam2.widgets.engine import Engine
    from napari_sam2.widgets.preferences import Preferences
    from napari_sam2.widgets.worker import Worker


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """A network that can be chosen.

    Attributes
    ----------
    name : str
        As `Models.load` takes it.
    title : str
        For people: version, size, and what it costs to have it.
    group : str
        Under which heading.
    """

    name: str
    title: str
    group: str


class Models:
    """The network in use, the one that is on its way, and what was measured.

    Parameters
    ----------
    worker, engine : Worker, Engine
        Who loads and runs networks.

    Attributes
    ----------
    name, device, sha256 : str
        Of the network in use; empty without one. The device is described in words.
    coming : messages.ModelLoading or None
        What is being loaded or downloaded.
    measured : SelfTest or None
        The last self-test of the network in use.
    devices : tuple of str
        What `load` takes as a device; known once a network is loaded.
    cache_bytes : int or None
        Most bytes of encoded frames that are kept for each movie; None for the engine's own limit.
    """

    changed = Signal()
    """An attribute is another."""
    told = Signal(Status)
    """What to tell the user."""

    def __init__(self, worker: Worker, engine: Engine) -> None:
        self.name = self.device = self.sha256 = ""
        self.coming: messages.ModelLoading | None = None
        self.measured: SelfTest | None = None
        self.is_testing = False
        self.devices: tuple[str, ...] = ("cpu",)
        self.cache_bytes: int | None = None
        self.asked: tuple[str | None, str | None] = (None, None)
        """Device and precision that were asked for."""
        self._worker = worker
        self._engine = engine
        self._fetching: Fetching | None = None

    @property
    def is_downloading(self) -> bool:
        """Whether weights are on their way to this machine."""
        return self._fetching is not None and self._fetching.is_alive

    @property
    def line(self) -> str:
        """What is in use and how fast it is here, in one line."""
        if not self.name:
            return "No network is loaded"
        use = f"{Path(self.name).name} on {self.device}"
        return use if self.measured is None else f"{use}: {self.measured.describe()}"

    def load(self, name: str, device: str | None = None, dtype: str | None = None) -> None:
        """Use this network from now on; one that is not on this machine is downloaded first.

        Clicks are answered meanwhile by the network that was there before.

        Parameters
        ----------
        name : str
            A name of `napari_sam2.model.registry.available_models`, or a file of weights.
        device : str, optional
            ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; by default the fastest there is.
        dtype : str, optional
            ``"float32"``, ``"bfloat16"``, ``"float16"``; by default what suits the device.
        """
        self.stop_download()
        self.asked = device, dtype
        file = available_models().get(name)
        then = partial(self._worker.submit, partial(self._engine.load, name, device, dtype))
        self.coming = messages.ModelLoading(name)
        if file is None or file.url is None or file.path().exists():
            then()
        else:
            self._fetching = Fetching(file, self._worker.post, then)
        self.changed.emit()

    def begin(self, preferences: Preferences, default: str) -> None:
        """Load the network of the last time; the default if that would have to be fetched again.

        A network that was asked for meanwhile, as for a session that was reopened, stays.
        """
        self.limit_memory(preferences.megabytes)
        if self.coming is not None or self.name:
            return
        name = preferences.model if _is_here(preferences.model) else default
        self.load(name, preferences.device or None, preferences.dtype or None)

    def want(self, name: str, sha256: str) -> None:
        """Go to the network that a session was made with; say so where it is not here."""
        coming = self.name if self.coming is None else self.coming.name
        if not name or (name == coming and sha256 in ("", self.sha256 or sha256)):
            return
        if name != coming and _is_here(name):
            self.load(name, *self.asked)
        else:
            why = "has changed since" if name == coming else "is not on this machine"
            self.told.emit(
                Status(
                    f"The session was made with {Path(name).name}, which {why}: choose a network"
                )
            )

    def stop_download(self) -> None:
        """Stop a download; what has arrived is kept and gone on with the next time."""
        if self._fetching is not None:
            self._fetching.stop()
            self._fetching = None

    def test(self) -> None:
        """Measure on a small movie how fast the network in use is here; takes some seconds."""
        if not self.name:
            self.told.emit(Status("No network is loaded: choose one first", "error"))
            return
        self.is_testing = True
        self._worker.submit(self._engine.test)
        self.told.emit(Status(f"Testing {Path(self.name).name} on this machine…", "busy"))
        self.changed.emit()

    def limit_memory(self, megabytes: float) -> None:
        """Keep at most so much of encoded frames for each movie; a later look at them is free."""
        self.cache_bytes = int(megabytes * 2**20)
        self._worker.submit(partial(self._engine.set_cache_bytes, self.cache_bytes))
        self.changed.emit()

    def receive(self, message: messages.ModelMessage | messages.Failed) -> None:
        """Take what the worker or a download has to say."""
        match message:
            case messages.ModelLoading():
                self.coming = message
                self.told.emit(loading_status(message))
            case messages.ModelReady():
                self._take_ready(message)
            case messages.DownloadStopped(name=name):
                self._no_longer_coming(name)
                self.told.emit(
                    Status(f"Download of {name} stopped; choose it again to go on where it was")
                )
            case messages.Tested(result=result):
                self.is_testing, self.measured = False, result
                self.told.emit(Status(self.line))
            case messages.Failed():
                self.coming, self.is_testing = None, False
        self.changed.emit()

    def close(self) -> None:
        """Stop what is on its way."""
        self.stop_download()

    def _take_ready(self, message: messages.ModelReady) -> None:
        self.name, self.device, self.sha256 = message.name, message.device, message.sha256
        self.devices = message.devices or self.devices
        self.measured = None
        self._no_longer_coming(message.name)
        self.told.emit(Status(f"{message.name} is ready ({message.seconds:.1f} s)"))

    def _no_longer_coming(self, name: str) -> None:
        if self.coming is not None and self.coming.name == name:
            self.coming = None


def _is_here(name: str) -> bool:
    """Whether a network is on this machine."""
    file = available_models().get(name)
    return bool(name) and (Path(name) if file is None else file.path()).is_file()


def choices(is_known: Callable[[ModelFile], bool] | None = None) -> list[NetworkChoice]:
    """Return every network that can be chosen by name, with what to call it.

    Parameters
    ----------
    is_known : callable, optional
        Says whether a file is on this machine.
    """
    here = is_known or (lambda file: file.path().exists())
    return [
        NetworkChoice(name, _title(file, is_here=here(file)), _group(file))
        for name, file in available_models().items()
    ]


def _group(file: ModelFile) -> str:
    if file.place is not None:
        return "Trained here"
    if file.url is None:
        return "In this package"
    return "SAM 2.1" if file.name.startswith("sam2.1") else "SAM 2.0"


def _title(file: ModelFile, *, is_here: bool) -> str:
    if file.url is None or is_here or file.size is None:
        return file.name
    return f"{file.name} (download {file.size / 1e6:.0f} MB)"
