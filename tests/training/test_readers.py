"""Readers of what users have annotated, and what they refuse before hours are spent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from skimage.io import imsave

from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.readers import DataEntry, read_entry


def moving_disks(frames: int = 6, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Two bright disks that move by a pixel a frame, and their labels 1 and 2."""
    y, x = np.indices((side, side))
    labels = np.zeros((frames, side, side), np.uint16)
    for t in range(frames):
        labels[t][(y - 20 - t) ** 2 + (x - 20) ** 2 < 50] = 1
        labels[t][(y - 45) ** 2 + (x - 40 - t) ** 2 < 50] = 2
    noise = np.random.default_rng(0).normal(100, 5, labels.shape)
    return (noise + 400 * (labels > 0)).astype(np.uint16), labels


@pytest.fixture
def movie(tmp_path: Path) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    images, labels = moving_disks()
    tifffile.imwrite(tmp_path / "movie.tif", images)
    return tmp_path / "movie.tif", tmp_path / "labels.tif", images, labels


def read(images: Path, path: Path, labels: np.ndarray, **more: object) -> LabelledMovie:
    tifffile.imwrite(path, labels, photometric="minisblack")
    (found,) = read_entry(DataEntry(images=str(images), labels=str(path), **more))
    return found


def test_a_label_stack_is_read_whole(movie):
    images, path, pixels, labels = movie
    found = read(images, path, labels)
    assert np.array_equal(found.images, pixels)
    assert np.array_equal(found.labels, labels)
    assert found.objects(0).ids.tolist() == [1, 2]
    assert found.is_known(1, 3)


@pytest.mark.parametrize("kind", ["npy", "zarr"])
def test_labels_in_any_form_that_movies_have(movie, tmp_path, kind):
    images, _, _, labels = movie
    path = tmp_path / f"labels.{kind}"
    if kind == "npy":
        np.save(path, labels)
    else:
        zarr.create_array(str(path), data=labels)
    (found,) = read_entry(DataEntry(images=str(images), labels=str(path)))
    assert np.array_equal(found.labels, labels)


def test_a_frame_without_labels_is_no_background(movie):
    images, path, _, labels = movie
    labels[[0, 3, 5]] = 0
    found = read(images, path, labels)
    # From the first annotated frame to the last.
    assert len(found) == 4
    assert found.annotated == {0, 1, 3}
    assert not len(found.objects(2).ids)
    assert not found.is_known(1, 2)


def test_frames_that_are_asked_for_and_no_others(movie):
    images, path, pixels, labels = movie
    found = read(images, path, labels, frames="1-2,4")
    assert np.array_equal(found.images, pixels[1:5])
    assert found.annotated == {0, 1, 3}
    assert not found.labels[2].any()
    again = read(images, path, labels[[1, 2, 4]], frames=[1, 2, 4])
    assert np.array_equal(again.labels, found.labels)


def test_cells_that_were_left_out_are_not_gone(movie):
    images, path, _, labels = movie
    labels[3][labels[3] == 2] = 0
    assert read(images, path, labels).is_known(2, 3)
    found = read(images, path, labels, complete=False)
    assert not found.is_known(2, 3)
    assert found.is_known(1, 3)


def test_ids_with_gaps_are_numbered_anew(movie):
    images, path, _, labels = movie
    wide = labels.astype(np.uint32)
    wide[labels == 2] = 4_000_000_000
    found = read(images, path, wide)
    assert np.array_equal(found.labels, labels)


def test_ids_that_jump_are_refused_or_left_out(movie):
    images, path, _, labels = movie
    swapped = labels.copy()
    for t in (1, 3, 5):
        swapped[t] = np.where(labels[t] > 0, 3 - labels[t].astype(int), 0)
    with pytest.raises(ValueError, match=r"ids of movie jump: 10 of 10 .*tracked = false"):
        # Disks of 14 pixels, 35 apart: farther than small cells ever move.
        read(images, path, spread(swapped))
    tifffile.imwrite(path, spread(swapped))
    stills = read_entry(DataEntry(images=str(images), labels=str(path), tracked=False))
    assert len(stills) == 6
    assert all(len(still) == 1 for still in stills)


def spread(labels: np.ndarray) -> np.ndarray:
    """The same ids on specks in opposite corners."""
    far = np.zeros_like(labels)
    for t in range(len(labels)):
        upper = labels[t][20 + t, 20]
        far[t, 4:9, 4:9], far[t, 50:55, 50:55] = upper, 3 - upper
    return far


def test_one_id_that_jumps_is_left_out(movie):
    images, path, _, labels = movie
    labels[:, 2:6, 2:6] = 3
    labels[3:][labels[3:] == 3] = 0
    labels[3:, 58:62, 58:62] = 3
    found = read(images, path, labels)
    assert found.objects(0).ids.tolist() == [1, 2]


def test_labels_of_another_shape(movie):
    images, path, _, labels = movie
    with pytest.raises(ValueError, match=r"64 x 60 pixels and its images 64 x 64"):
        read(images, path, labels[:, :, :60])
    with pytest.raises(ValueError, match=r"have 4 frames and its images 6.*frames = "):
        read(images, path, labels[:4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels * 0, "no frame of it has a label"),
        (lambda labels: labels.astype(np.float32), "not labels"),
        (lambda labels: np.where(labels == 2, -1, labels).astype(np.int16), "hold -1 on frame 0"),
    ],
)
def test_labels_that_say_nothing(movie, change, message):
    images, path, _, labels = movie
    with pytest.raises(ValueError, match=message):
        read(images, path, change(labels))


def test_a_mask_of_yes_and_no_is_no_label(movie, tmp_path):
    images, _, _, labels = movie
    np.save(tmp_path / "mask.npy", labels > 0)
    with pytest.raises(ValueError, match=r"yes and no: .*skimage\.measure\.label"):
        read_entry(DataEntry(images=str(images), labels=str(tmp_path / "mask.npy")))


def test_images_of_one_value(movie, tmp_path):
    _, path, pixels, labels = movie
    flat = tmp_path / "flat.tif"
    tifffile.imwrite(flat, np.full_like(pixels, 7))
    with pytest.raises(ValueError, match=r"the value 7 everywhere"):
        read(flat, path, labels)


def test_channels_are_chosen_and_numbers_are_finite(movie, tmp_path):
    _, path, pixels, labels = movie
    colour = np.stack([pixels, pixels * 2, pixels * 0], -1).astype(np.float32)
    colour[0, 0, 0] = np.nan
    np.save(tmp_path / "colour.npy", colour)
    one = read(tmp_path / "colour.npy", path, labels, channels="1")
    assert one.images.shape == labels.shape
    assert np.isfinite(one.images).all()
    assert np.array_equal(one.images[1], pixels[1] * 2)
    assert read(tmp_path / "colour.npy", path, labels).images.shape == (*labels.shape, 3)
    with pytest.raises(ValueError, match="channel 3 of colour"):
        read(tmp_path / "colour.npy", path, labels, channels="3")


def test_what_training_cannot_read(tmp_path, movie):
    images, *_ = movie
    notes = tmp_path / "notes.docx"
    notes.write_text("cells")
    with pytest.raises(ValueError, match=r"notes\.docx is no movie"):
        read_entry(DataEntry(images=str(images), labels=str(notes)))
    with pytest.raises(ValueError, match=r"holds nothing that training can read"):
        read_entry(DataEntry(path=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_entry(DataEntry(path=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"is a file: give a movie as images"):
        read_entry(DataEntry(path=str(images)))


@pytest.mark.parametrize(
    "given", [{}, {"path": "a", "images": "b", "labels": "c"}, {"images": "a"}, {"labels": "a"}]
)
def test_an_entry_says_where_its_data_are_in_one_way(given):
    with pytest.raises(ValueError, match=r"either path|without its"):
        DataEntry(**given)


@pytest.mark.parametrize("text", ["a", "3-1", "1,,2", "-4"])
def test_frames_that_are_none(text, movie):
    images, path, _, labels = movie
    with pytest.raises(ValueError, match="is no frame or range"):
        read(images, path, labels, frames=text)


def test_frames_outside_the_movie(movie):
    images, path, _, labels = movie
    with pytest.raises(ValueError, match=r"frames \[6, 7\] of movie .* frames 0 to 5"):
        read(images, path, labels, frames="4-7")


class TestChallenge:
    @pytest.fixture
    def sequence(self, tmp_path: Path) -> Path:
        """Six frames; silver masks on 0, 2, 5 and one human mask on 3; track 2 ends at 4."""
        images, labels = moving_disks()
        labels[5][labels[5] == 2] = 0
        folder = tmp_path / "Fluo" / "01"
        for part in (folder, folder.with_name("01_ST") / "SEG"):
            part.mkdir(parents=True)
        truth = folder.with_name("01_GT")
        (truth / "SEG").mkdir(parents=True)
        (truth / "TRA").mkdir()
        for t in range(6):
            tifffile.imwrite(folder / f"t{t:03d}.tif", images[t])
            tifffile.imwrite(truth / "TRA" / f"man_track{t:03d}.tif", labels[t] * 10)
        for t in (0, 2, 5):
            # Masks are numbered frame by frame.
            own = np.where(labels[t] > 0, 3 - labels[t].astype(int), 0).astype(np.uint16)
            silver = folder.with_name("01_ST") / "SEG" / f"man_seg{t:03d}.tif"
            tifffile.imwrite(silver, own)
        gold = np.where(labels[3] == 1, 7, 0).astype(np.uint16)
        tifffile.imwrite(truth / "SEG" / "man_seg003.tif", gold)
        (truth / "TRA" / "man_track.txt").write_text("10 0 5 0\n20 0 4 0\n")
        return folder

    def test_masks_have_the_numbers_of_their_tracks(self, sequence):
        (found,) = read_entry(DataEntry(path=str(sequence)))
        _, labels = moving_disks()
        assert found.annotated == {0, 2, 3, 5}
        assert np.array_equal(found.labels[0], labels[0])
        assert np.array_equal(found.labels[2], labels[2])
        assert np.array_equal(found.labels[3] == 1, labels[3] == 1)

    def test_what_has_no_mask_is_gone_only_after_its_track(self, sequence):
        (found,) = read_entry(DataEntry(path=str(sequence)))
        assert not found.is_known(2, 3)
        assert found.is_known(2, 5)
        assert found.is_known(1, 3)

    def test_a_table_that_is_none(self, sequence):
        (sequence.with_name("01_GT") / "TRA" / "man_track.txt").write_text("label begin end\n")
        with pytest.raises(ValueError, match="label, begin, end, parent"):
            read_entry(DataEntry(path=str(sequence)))

    def test_stacks_with_a_list_of_annotated_frames(self, tmp_path):
        images, labels = moving_disks()
        folder = tmp_path / "cells"
        folder.mkdir()
        labels[1] = labels[4] = 0
        tifffile.imwrite(folder / "cells_images.tif", images)
        tifffile.imwrite(folder / "cells_labels.tif", labels)
        info = {"labelled_frame_indices": [0, 2, 3, 5], "frame_numbers": list(range(10, 16))}
        (folder / "info.json").write_text(json.dumps(info))
        (folder / "man_track.txt").write_text("1 10 15 0\n2 10 13 1\n")
        (found,) = read_entry(DataEntry(path=str(folder), frames="0-4"))
        assert found.annotated == {0, 2, 3}
        assert found.lifetimes == {1: (0, 5), 2: (0, 3)}


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("a_image.png", "a_labels.png"),
        ("a.png", "a_masks.tif"),
        ("images/a.png", "masks/a.tif"),
    ],
)
def test_stills_with_masks(tmp_path, images, labels):
    pixels, truth = moving_disks(1)
    for name, array in ((images, (pixels[0] // 4).astype(np.uint8)), (labels, truth[0])):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".tif":
            tifffile.imwrite(path, array)
        else:
            imsave(path, array, check_contrast=False)
    (still,) = read_entry(DataEntry(path=str(tmp_path)))
    assert np.array_equal(still.labels[0], truth[0])
    assert still.images.shape == (1, 64, 64)


class TestResults:
    @pytest.fixture
    def results(self, movie, tmp_path, monkeypatch) -> Path:
        """What the command writes for one click, with the network that ships."""
        from napari_sam2.cli import main

        images, *_ = movie
        words = ["track", images, "--out", tmp_path / "out", "--point", "2,22,20"]
        monkeypatch.setattr(sys, "argv", ["napari-sam2", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return tmp_path / "out"

    def test_results_of_the_plugin(self, results, movie):
        (found,) = read_entry(DataEntry(path=str(results)))
        _, _, pixels, labels = movie
        assert np.array_equal(found.images, pixels)
        truth = labels[2] == 1
        mask = found.labels[2] == 1
        assert (mask & truth).sum() > 0.5 * (mask | truth).sum()
        (prompted,) = read_entry(DataEntry(path=str(results), frames="prompted"))
        assert len(prompted) == 1

    def test_a_movie_that_has_moved_away(self, results, movie):
        movie[0].unlink()
        with pytest.raises(FileNotFoundError, match=r"movie\.tif"):
            read_entry(DataEntry(path=str(results)))
        (results / "run.json").write_text("{}")
        with pytest.raises(ValueError, match="which movie was tracked"):
            read_entry(DataEntry(path=str(results)))


@pytest.mark.data
def test_a_real_sequence(data_folder):
    (found,) = read_entry(DataEntry(path=str(data_folder / "ctc_N2DL-HeLa_01"), frames="0-9"))
    assert found.images.shape == (10, 512, 512)
    assert found.annotated == {0, 4, 7, 9}
    assert found.eligible is None
