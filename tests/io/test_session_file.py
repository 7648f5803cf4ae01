"""Sessions on disk: what is written comes back, whatever happens in between."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_sam2.editing import operations
from napari_sam2.editing.document import Document
from napari_sam2.editing.objects import ObjectInfo
from napari_sam2.io import session_masks
from napari_sam2.io.session_file import MovieStamp, SessionFolder, read_session
from napari_sam2.io.session_masks import SessionMasks, records_on
from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

SHAPE = (6, 40, 50)


def disc(y: int, x: int, radius: int, **about) -> MaskRecord:
    ys, xs = np.indices(SHAPE[1:])
    return MaskRecord.from_mask((ys - y) ** 2 + (xs - x) ** 2 <= radius**2, **about)


@pytest.fixture
def movie() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)


@pytest.fixture
def document() -> Document:
    """Three objects, two of which overlap, one hidden for a while, a division, a lock."""
    document = Document(MaskletSet(SHAPE))
    for frame in range(SHAPE[0]):
        about = {"predicted_iou": 0.25 + frame / 16, "object_score": frame - 2.5}
        document.masklets.write(1, frame, disc(10, 10 + frame, 6, **about))
        document.masklets.write(2, frame, disc(12, 16 + frame, 6, prompted=frame == 0))
        if frame != 3:
            document.masklets.write(70000, frame, disc(30, 30, 4, **about))
    document.masklets.write(70000, 3, MaskRecord.from_mask(np.zeros((4, 4), bool)))
    document.prompts.add(PointPrompt(1, 0, (10.0, 10.25)))
    document.prompts.add(PointPrompt(1, 4, (3.0, 3.0), positive=False))
    document.prompts.add(BoxPrompt(2, 0, (6.0, 10.0, 18.0, 22.0)))
    document.prompts.add(MaskPrompt(70000, 0, disc(30, 30, 4).mask(SHAPE[1:])))
    document.objects[2] = ObjectInfo(2, "left", "accepted", parent=1)
    document.objects[1] = ObjectInfo(1, locked=frozenset({2, 4}))
    document.objects[70000] = ObjectInfo(70000, is_locked=True)
    return document


def contents(document: Document) -> tuple:
    masks = {(m.object_id, t): r for m in document.masklets for t, r in m.records.items()}
    return masks, document.prompts.all(), document.objects


def test_everything_comes_back(tmp_path: Path, movie, document) -> None:
    stamp = MovieStamp.of(movie, "movie.tif")
    settings = {"model": "bundled", "low": [0.0], "high": [4095.0]}
    SessionFolder(tmp_path / "a.sam2", stamp).write_all(document, settings)
    back = read_session(tmp_path / "a.sam2")
    assert contents(back.document) == contents(document)
    assert back.movie == stamp
    assert back.settings == settings
    assert read_session(tmp_path / "a.sam2" / "session.json").movie == stamp


def test_other_tools_read_the_labels(tmp_path: Path, movie, document) -> None:
    SessionFolder(tmp_path / "a.sam2", MovieStamp.of(movie)).write_all(document, {})
    labels = zarr.open_group(str(tmp_path / "a.sam2" / "masks.zarr"), mode="r")
    front, behind = np.asarray(labels["labels"]), np.asarray(labels["labels_1"])
    assert set(np.unique(front)) == {0, 1, 70000}
    assert set(np.unique(behind)) == {0, 2}
    np.testing.assert_array_equal(behind[0] == 2, document.masklets.mask(2, 0))


def test_only_changed_frames_are_written(tmp_path: Path, movie, document) -> None:
    folder = SessionFolder(tmp_path / "a.sam2", MovieStamp.of(movie))
    folder.write_all(document, {})
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "a.sam2" / "masks.zarr").rglob("*")}
    document.apply(operations.cut(document, 1, 5))
    document.apply(operations.cut(document, 2, 5))
    folder.masks.write(5, records_on(document.masklets, 5))
    changed = [p for p, at in kept.items() if p.is_file() and p.stat().st_mtime_ns != at]
    assert changed
    assert {p.parts[-3] for p in changed} == {"5"}
    assert contents(read_session(tmp_path / "a.sam2").document)[0] == contents(document)[0]


def test_a_later_line_counts_and_half_a_line_does_not(tmp_path: Path, movie, document) -> None:
    folder = SessionFolder(tmp_path / "a.sam2", MovieStamp.of(movie))
    folder.write_all(document, {})
    better = MaskRecord.from_mask(document.masklets.mask(1, 2), predicted_iou=0.5)
    document.masklets.write(1, 2, better)
    folder.masks.write(2, records_on(document.masklets, 2))
    with (tmp_path / "a.sam2" / "scores.jsonl").open("a") as file:
        file.write('{"t": 2, "objects": {"1": [0.9, 1')
    assert contents(read_session(tmp_path / "a.sam2").document) == contents(document)
    size = (tmp_path / "a.sam2" / "scores.jsonl").stat().st_size
    folder.masks.compact(document.masklets)
    assert (tmp_path / "a.sam2" / "scores.jsonl").stat().st_size < size
    assert contents(read_session(tmp_path / "a.sam2").document) == contents(document)


def test_large_frames_are_written_in_pieces(tmp_path: Path) -> None:
    shape = (2, 2048, 2048)
    masks = SessionMasks(tmp_path, shape)
    record = MaskRecord.from_mask(np.ones((5, 5), bool), origin=(2000, 10))
    masks.write(1, {3: record})
    pieces = [p for p in (tmp_path / "masks.zarr" / "labels").rglob("*") if p.is_file()]
    assert len(pieces) == 2  # one chunk and the description
    assert masks.read().record(3, 1) == record


KILLED = """
import sys, numpy as np
from napari_sam2.io.session_file import MovieStamp, SessionFolder
from napari_sam2.editing.document import Document
from napari_sam2.masklets import MaskletSet, MaskRecord
movie = np.zeros((4000, 64, 64), np.uint8)
document = Document(MaskletSet(movie.shape))
folder = SessionFolder(sys.argv[1], MovieStamp.of(movie))
folder.write_head(document, {})
for frame in range(len(movie)):
    folder.masks.write(frame, {7: MaskRecord.from_mask(np.eye(20, dtype=bool), prompted=True)})
    print(frame, flush=True)
"""


@pytest.mark.parametrize("moment", [0.0, 0.013, 0.041, 0.09])
def test_a_killed_process_loses_the_frame_in_flight_at_most(tmp_path: Path, moment: float) -> None:
    root = tmp_path / "a.sam2"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    told = [0, *map(int, process.stdout.read().split())]
    process.wait()
    process.stdout.close()
    back = read_session(root).document.masklets
    assert set(back.frames(7)) >= set(range(max(told) + 1))
    assert len(back.frames(7)) <= max(told) + 2
    expected = MaskRecord.from_mask(np.eye(20, dtype=bool), prompted=True)
    assert all(back.record(7, frame) == expected for frame in told)


FIRST = {1: (20, 10), 2: (20, 30)}
BEHIND = {1: (20, 22), 2: (20, 30)}
SWAPPED = {1: (20, 30), 2: (20, 22), 3: (20, 34), 4: (8, 8)}
GONE = {2: (20, 22), 3: (20, 34)}


@pytest.mark.parametrize("before", [FIRST, BEHIND, SWAPPED, GONE])
@pytest.mark.parametrize("after", [FIRST, BEHIND, SWAPPED, GONE])
@pytest.mark.parametrize("pieces", [0, 1, 2, 3])
def test_masks_that_overlap_stay_whole_wherever_writing_ends(
    before, after, pieces, tmp_path, monkeypatch
) -> None:
    old, new = ({i: disc(*yx, 7) for i, yx in places.items()} for places in (before, after))
    masks = SessionMasks(tmp_path, SHAPE)
    masks.write(2, old)
    write, written = SessionMasks._write_layer, []

    def until_the_power_goes(*place) -> None:
        if len(written) == pieces:
            raise KeyboardInterrupt
        written.append(place)
        write(*place)

    monkeypatch.setattr(SessionMasks, "_write_layer", until_the_power_goes)
    try:
        masks.write(2, new)
    except KeyboardInterrupt:
        is_cut = True
    else:
        is_cut = False
    found = records_on(SessionMasks(tmp_path, SHAPE).read(), 2)
    if not is_cut:
        assert areas(found) == areas(new)
    for object_id in old.keys() & new.keys():
        assert found[object_id].bits in (old[object_id].bits, new[object_id].bits)
        assert found[object_id].bbox in (old[object_id].bbox, new[object_id].bbox)


def areas(records: dict[int, MaskRecord]) -> dict[int, tuple]:
    return {object_id: (record.bbox, record.area) for object_id, record in records.items()}


def test_who_comes_out_from_behind_is_in_the_first_labels_again(tmp_path) -> None:
    masks = SessionMasks(tmp_path, SHAPE)
    for places in (FIRST, BEHIND, FIRST):
        masks.write(0, {i: disc(*yx, 7) for i, yx in places.items()})
    labels = zarr.open_group(str(tmp_path / "masks.zarr"), mode="r")["labels"]
    assert set(np.unique(labels[0])) == {0, 1, 2}


def test_a_full_disk_keeps_what_is_there(tmp_path: Path, movie, document, monkeypatch) -> None:
    folder = SessionFolder(tmp_path / "a.sam2", MovieStamp.of(movie))
    folder.write_all(document, {})
    before = contents(read_session(tmp_path / "a.sam2").document)

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(session_masks, "_line", full)
    with pytest.raises(OSError, match=r"no space to write .* kept there: free some space"):
        folder.masks.write(2, records_on(document.masklets, 2))
    assert contents(read_session(tmp_path / "a.sam2").document) == before


def test_the_movie_is_known_again(movie) -> None:
    stamp = MovieStamp.of(movie)
    assert stamp.problem_with(MovieStamp.of(movie.copy(), "elsewhere.tif")) is None
    other = movie.copy()
    other[3] += 1
    assert "other pixels" in stamp.problem_with(MovieStamp.of(other))
    assert "(6, 40, 50)" in stamp.problem_with(MovieStamp.of(movie[:5]))


def damaged(root: Path, **changes: object) -> None:
    head = root / "session.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), **changes}))


def test_a_session_of_the_first_format_opens(tmp_path: Path, movie, document) -> None:
    root = tmp_path / "a.sam2"
    SessionFolder(root, MovieStamp.of(movie)).write_all(document, {})
    entries = json.loads((root / "session.json").read_text())["objects"]
    for entry in entries:
        del entry["is_locked"]  # came with the second format
    damaged(root, version=1, objects=entries)
    objects = read_session(root).document.objects
    assert objects[1] == document.objects[1]
    assert objects[2] == document.objects[2]
    assert not objects[70000].is_fixed


def test_what_cannot_be_read_says_so(tmp_path: Path, movie, document) -> None:
    root = tmp_path / "a.sam2"
    with pytest.raises(FileNotFoundError, match="is no session"):
        read_session(root)
    SessionFolder(root, MovieStamp.of(movie)).write_all(document, {})
    damaged(root, version=99, package="9.9")
    with pytest.raises(ValueError, match=r"napari-sam2 9.9, session format 99.*update"):
        read_session(root)
    damaged(root, version=1, movie={"shape": [6, 40, 50]})
    with pytest.raises(ValueError, match="is damaged"):
        read_session(root)
    damaged(root, format="letters")
    with pytest.raises(ValueError, match="is no session file"):
        read_session(root)
    (root / "session.json").write_text("{")
    with pytest.raises(ValueError, match="line 1: no valid JSON"):
        read_session(root)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, movie) -> None:
    stamp = MovieStamp.of(movie)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(FileExistsError, match="choose a new name"):
        SessionFolder(tmp_path / "thesis", stamp)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file"):
        SessionFolder(tmp_path / "file", stamp)
    SessionFolder(tmp_path / "a.sam2", stamp).write_head(Document(MaskletSet(SHAPE)), {})
    with pytest.raises(ValueError, match=r"is the session of a movie of \(6, 40, 50\)"):
        SessionFolder(tmp_path / "a.sam2", MovieStamp.of(movie[:4]))
