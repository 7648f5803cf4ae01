"""Networks come, are stopped on the way, are measured and remembered: real files, a real server."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_sam2.model import registry
from napari_sam2.model.registry import ModelFile
from napari_sam2.widgets.models import choices
from napari_sam2.widgets.preferences import Preferences

PIECE = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """Sends a file in pieces, each when it is let through."""

    def do_GET(self):
        state = self.server.state
        asked = self.headers.get("Range")
        state.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            end = len(state.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(state.content) - start))
        self.end_headers()
        for at in range(start, len(state.content), PIECE):
            state.gate.acquire(timeout=20)
            try:
                self.wfile.write(state.content[at : at + PIECE])
            except OSError:
                return

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def web_network(small_network, tmp_path, monkeypatch):
    """A network that has to be fetched; `gate` lets pieces of it through."""
    content = Path(small_network).read_bytes()
    state = SimpleNamespace(content=content, asked=[], gate=threading.Semaphore(0))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.state, server.daemon_threads = state, True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/w.safetensors"
    file = ModelFile(
        "web", "w.safetensors", "MIT", address, len(content), hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setenv(registry.FOLDER_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setitem(registry.REGISTRY, "web", file)
    yield state
    state.gate.release(10_000)
    server.shutdown()
    server.server_close()
    thread.join()


def test_clicks_are_answered_while_a_network_is_downloaded(
    make_controller, synthetic, answered, drive, web_network, small_network
):
    _, controller = make_controller(synthetic.images)
    models = controller.models
    controller.load_model("web")
    web_network.gate.release(3)
    drive(controller, lambda: models.coming is not None and models.coming.done >= 2 * PIECE)
    assert models.is_downloading
    assert models.coming.total == len(web_network.content)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    assert models.name == small_network, "the network of before answers"
    web_network.gate.release(10_000)
    drive(controller, lambda: models.name == "web")
    assert models.sha256 == hashlib.sha256(web_network.content).hexdigest()
    assert not models.is_downloading
    assert models.coming is None
    assert any("Downloading web" in status.text for status in controller.told)


def test_a_stopped_download_goes_on_where_it_was(
    make_controller, synthetic, drive, web_network, small_network
):
    _, controller = make_controller(synthetic.images)
    models = controller.models
    controller.load_model("web")
    web_network.gate.release(3)
    drive(controller, lambda: models.coming is not None and models.coming.done >= 2 * PIECE)
    models.stop_download()
    web_network.gate.release(2)
    drive(controller, lambda: any("stopped" in status.text for status in controller.told))
    assert models.name == small_network
    assert models.coming is None
    web_network.gate.release(10_000)
    controller.load_model("web")
    drive(controller, lambda: models.name == "web")
    assert web_network.asked[0] is None
    assert int(web_network.asked[1].removeprefix("bytes=").rstrip("-")) >= 2 * PIECE


def test_another_file_than_expected_is_refused(
    make_controller, synthetic, drive, web_network, small_network
):
    _, controller = make_controller(synthetic.images)
    web_network.content = bytes(len(web_network.content))
    web_network.gate.release(10_000)
    controller.load_model("web")
    drive(controller, lambda: controller.told[-1].level == "error")
    assert "sha256" in controller.told[-1].text
    assert controller.models.line.startswith(Path(small_network).name)


def test_the_self_test_says_what_is_in_use_and_how_fast(
    make_controller, synthetic, drive, trained_network
):
    _, controller = make_controller(synthetic.images, network=trained_network)
    models = controller.models
    assert models.line.startswith("bundled on CPU, ")
    models.test()
    drive(controller, lambda: models.measured is not None)
    tested = models.measured
    assert tested.iou > 0.5
    assert 0 < tested.first_click < 30
    assert tested.frames_per_second > 0
    assert models.line == (
        f"bundled on {tested.device}: first click {1000 * tested.first_click:.0f} ms, "
        f"{tested.frames_per_second:.3g} frames/s for one object"
    )
    assert "float32" in tested.device
    assert controller.told[-1].text == models.line
    assert controller.layers.object_ids == set(), "the movie in work is left alone"


def test_the_self_test_says_when_the_network_finds_nothing(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images)  # random weights
    controller.models.test()
    drive(controller, lambda: controller.models.measured is not None)
    assert "finds the test cell badly" in controller.models.line


def test_a_precision_that_the_device_has_not_is_refused(make_controller, synthetic, drive):
    _, controller = make_controller(synthetic.images)
    before = controller.models.line
    controller.load_model(controller.models.name, device="cpu", dtype="float16")
    drive(controller, lambda: controller.told[-1].level == "error")
    assert "use 'bfloat16' or 'float32'" in controller.told[-1].text
    assert controller.models.line == before


def test_no_memory_keeps_no_features(make_controller, synthetic, answered, drive):
    _, controller = make_controller(synthetic.images)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    session = controller._engine._sessions[controller._movie.key]
    assert session.features.bytes > 0
    controller.models.limit_memory(0)
    answered(controller, lambda: controller.layers.points.add((1, 30, 30)))
    assert session.features.bytes == 0


def test_every_published_network_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv(registry.FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "mine.safetensors").touch()
    (tmp_path / "sam2_hiera_tiny.pt").touch()
    found = {choice.name: choice for choice in choices()}
    assert found["bundled"].group == "In this package"
    assert found["sam2.1-large"].title == "sam2.1-large (download 898 MB)"
    assert found["sam2.1-large"].group == "SAM 2.1"
    assert found["sam2-tiny"].title == "sam2-tiny"
    assert found["sam2-tiny"].group == "SAM 2.0"
    assert found["mine"].group == "Trained here"


def test_choices_are_kept_between_sessions_of_napari():
    assert Preferences.load() == Preferences()
    Preferences.load().keep(model="sam2-tiny", megabytes=128, follow=False, minutes=2.5)
    assert Preferences.load() == Preferences("sam2-tiny", megabytes=128, follow=False, minutes=2.5)


def test_a_network_that_is_gone_is_not_asked_for_again(make_controller, synthetic, small_network):
    _, controller = make_controller(synthetic.images, network=None)
    controller.models.begin(Preferences(model="/nowhere/else.pt"), small_network)
    assert controller.models.coming.name == small_network
    _, other = make_controller(synthetic.images, network=None)
    other.models.begin(Preferences(model=small_network, device="cpu"), "bundled")
    assert other.models.coming.name == small_network
    assert other.models.asked == ("cpu", None)


def test_a_session_says_and_brings_back_its_network_and_contrast(
    make_controller, synthetic, answered, drive, tmp_path, small_network
):
    _, controller = make_controller(synthetic.images)
    controller.image.contrast_limits = (100.0, 900.0)
    answered(controller, lambda: controller.layers.points.add((0, 30, 30)))
    assert controller.sessions.save_as(tmp_path / "a.sam2")
    controller.close()
    written = json.loads((tmp_path / "a.sam2" / "session.json").read_text())
    settings = written["settings"]
    assert settings["model"] == small_network
    assert settings["model_sha256"] == hashlib.sha256(Path(small_network).read_bytes()).hexdigest()
    assert settings["options"]["overlap"] == "best"
    assert settings["intensities"]["high"] == [900.0]
    assert written["package"]
    _, again = make_controller(synthetic.images, network=None)
    assert again.sessions.open(tmp_path / "a.sam2")
    assert tuple(again.image.contrast_limits) == (100.0, 900.0)
    drive(again, lambda: again.models.name == small_network)
    # A file of the same name that holds another network is not taken for it.
    again.models.want(small_network, "0" * 64)
    assert "has changed since" in again.told[-1].text
    again.models.want("/nowhere/else.pt", "")
    assert "is not on this machine" in again.told[-1].text


def test_closing_stops_a_download(make_controller, synthetic, web_network):
    _, controller = make_controller(synthetic.images, network=None)
    controller.load_model("web")
    fetching = controller.models._fetching
    web_network.gate.release(2)
    controller.close()
    web_network.gate.release(2)
    end = time.monotonic() + 20
    while fetching.is_alive:
        assert time.monotonic() < end
        time.sleep(0.01)
