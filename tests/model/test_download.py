"""Fetching weights from a server on this machine: resumed, checked, never half."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam2.model.download import download, verify
from napari_sam2.model.registry import ModelFile

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `CONTENT`, with the faults that a test asks for."""

    def do_GET(self):
        behaviour = self.server.behaviour
        asked = self.headers.get("Range")
        behaviour.asked.append(asked)
        if self.path != "/weights.pt":
            self.send_error(404)
            return
        content = behaviour.content
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(content):
            self.send_error(416)
            return
        if asked and behaviour.knows_ranges:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            start = 0
            self.send_response(200)
        rest = content[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if behaviour.break_after:
            rest = rest[: behaviour.break_after.pop(0)]
        self.wfile.write(rest)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.behaviour = SimpleNamespace(content=CONTENT, knows_ranges=True, break_after=[], asked=[])
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    httpd.behaviour.url = f"http://127.0.0.1:{httpd.server_port}/weights.pt"
    yield httpd.behaviour
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def file(server):
    return ModelFile("tiny", "weights.pt", "Apache-2.0", server.url, len(CONTENT), SHA256)


def test_the_file_arrives_whole_and_progress_is_told(server, file, tmp_path):
    told = []
    path = download(file, tmp_path / "new", lambda done, total: told.append((done, total)))
    assert path == tmp_path / "new" / "weights.pt"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["weights.pt"]
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert server.asked == [None]


def test_what_is_there_is_not_fetched_again(server, file, tmp_path):
    (tmp_path / "weights.pt").write_bytes(CONTENT)
    assert download(file, tmp_path) == tmp_path / "weights.pt"
    assert server.asked == []


def test_a_half_file_is_gone_on_with(server, file, tmp_path):
    (tmp_path / "weights.pt.part").write_bytes(CONTENT[:1_234_567])
    told = []
    path = download(file, tmp_path, lambda done, total: told.append(done))
    assert server.asked == ["bytes=1234567-"]
    assert told[0] > 1_234_567
    assert path.read_bytes() == CONTENT


def test_a_broken_line_is_picked_up(server, file, tmp_path):
    server.break_after = [1_500_000, 1_000_000]
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert server.asked[0] is None
    assert len(server.asked) == 3
    assert all(asked.startswith("bytes=") for asked in server.asked[1:])


def test_a_line_that_breaks_too_often_keeps_what_has_arrived(server, file, tmp_path):
    server.break_after = [1_100_000, 1]
    with pytest.raises(ConnectionError, match=r"what has arrived is kept"):
        download(file, tmp_path)
    assert not (tmp_path / "weights.pt").exists()
    assert (tmp_path / "weights.pt.part").stat().st_size >= 1_000_000
    server.break_after = []
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(server, file, tmp_path):
    server.knows_ranges = False
    (tmp_path / "weights.pt.part").write_bytes(CONTENT[:1000])
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_a_whole_part_needs_no_connection(file, tmp_path, server):
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert server.asked == []


def test_a_part_that_is_too_long_is_thrown_away(server, file, tmp_path):
    (tmp_path / "weights.pt.part").write_bytes(CONTENT + b"more")
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_a_part_beyond_what_the_server_has_is_thrown_away(server, file, tmp_path):
    server.content = CONTENT[:2_000_000]
    (tmp_path / "weights.pt.part").write_bytes(CONTENT[:2_500_000])
    with pytest.raises(ConnectionError, match="broke off after 2000000 of 3000000 bytes"):
        download(file, tmp_path)
    assert server.asked[:2] == ["bytes=2500000-", None]


def test_another_file_is_refused_and_never_gets_the_name(server, file, tmp_path):
    server.content = bytes(len(CONTENT))
    found = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(ValueError, match=f"sha256 {found} .* have {SHA256}"):
        download(file, tmp_path)
    assert list(tmp_path.iterdir()) == [], "neither the file nor a part that would be resumed"


def test_damage_in_an_old_part_is_found(server, file, tmp_path):
    (tmp_path / "weights.pt.part").write_bytes(b"x" * 1000)
    with pytest.raises(ValueError, match="damaged or another file"):
        download(file, tmp_path)
    assert download(file, tmp_path).read_bytes() == CONTENT, "the next attempt starts afresh"


def test_offline_says_where_to_put_the_file(tmp_path):
    # Port 9 of this machine: nothing listens there.
    url = "http://127.0.0.1:9/weights.pt"
    file = ModelFile("tiny", "weights.pt", "Apache-2.0", url, 123, "abc")
    with pytest.raises(ConnectionError) as failure:
        download(file, tmp_path)
    message = str(failure.value)
    for part in (url, "online", str(tmp_path / "weights.pt"), "123 bytes", "sha256 abc"):
        assert part in message
    assert not (tmp_path / "weights.pt").exists()


def test_a_missing_page_is_named(server, tmp_path):
    url = server.url.replace("weights", "other")
    file = ModelFile("tiny", "other.pt", "Apache-2.0", url, 123, "abc")
    with pytest.raises(ConnectionError, match="the server answers 404"):
        download(file, tmp_path)


def test_a_full_disk_is_known_before_anything_is_fetched(server, tmp_path):
    size = shutil.disk_usage(tmp_path).free * 2
    file = ModelFile("huge", "weights.pt", "Apache-2.0", server.url, size, SHA256)
    with pytest.raises(OSError, match=f"{size} bytes are needed .* make room") as failure:
        download(file, tmp_path)
    assert failure.value.errno == errno.ENOSPC
    assert server.asked == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_disk_that_fills_up_says_so(server, file, tmp_path):
    (tmp_path / "weights.pt.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"what has arrived is kept, make room") as failure:
        download(file, tmp_path)
    assert failure.value.errno == errno.ENOSPC


class TestVerify:
    def test_missing(self, file, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"download http.*put it at"):
            verify(file, tmp_path / "weights.pt")

    def test_truncated(self, file, tmp_path):
        path = tmp_path / "weights.pt"
        path.write_bytes(CONTENT[:-1])
        with pytest.raises(ValueError, match=r"2999999 bytes .* have 3000000: it is truncated"):
            verify(file, path)

    def test_one_wrong_bit(self, file, tmp_path):
        path = tmp_path / "weights.pt"
        path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
        with pytest.raises(ValueError, match=f"have {SHA256}: it is damaged"):
            verify(file, path)

    def test_right(self, file, tmp_path):
        path = tmp_path / "weights.pt"
        path.write_bytes(CONTENT)
        assert verify(file, path) == path
