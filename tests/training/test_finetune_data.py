"""The split into what teaches and what measures, and clips from sparse annotation."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import tifffile

from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.training import augment, finetune_measure
from napari_sam2.training.datasets import LabelledMovie
from napari_sam2.training.finetune_data import (
    Lessons,
    SparseClips,
    annotated_frames,
    measured_frames,
    read_lessons,
)
from napari_sam2.training.finetune_options import FineTuneOptions, example_config, read_config
from napari_sam2.training.readers import DataEntry


def square(frames: int = 12, name: str = "square") -> LabelledMovie:
    """Still squares 1 and 2 on noise."""
    labels = np.zeros((frames, 90, 90), np.uint16)
    labels[:, 20:40, 20:40], labels[:, 50:70, 45:65] = 1, 2
    noise = np.random.default_rng(0).integers(0, 50, labels.shape)
    return LabelledMovie(name, (noise + 100 * (labels > 0)).astype(np.uint8), labels)


def write(folder: Path, name: str, frames: int) -> DataEntry:
    movie = square(frames)
    for kind, array in (("images", movie.images), ("labels", movie.labels)):
        tifffile.imwrite(folder / f"{name}_{kind}.tif", array, photometric="minisblack")
    paths = [str(folder / f"{name}_{kind}.tif") for kind in ("images", "labels")]
    return DataEntry(images=paths[0], labels=paths[1])


class TestSplit:
    def test_a_single_movie_is_split_by_frames(self, tmp_path):
        found = read_lessons([write(tmp_path, "a", 10)], tmp_path, 0.2)
        (train,), (kept,) = found.train, found.validation
        assert (len(train), len(kept), kept.lead) == (8, 3, 1)
        whole = square(10).images
        assert np.array_equal(np.concatenate([train.images, kept.images[1:]]), whole)
        assert measured_frames(kept) == [1, 2]

    def test_what_is_kept_back_begins_where_objects_were_last_taught(self, tmp_path):
        entry = replace(write(tmp_path, "a", 10), frames="0,2,4,6,9")
        found = read_lessons([entry], tmp_path, 0.2)
        (train,), (kept,) = found.train, found.validation
        assert (len(train), annotated_frames(train)) == (7, [0, 2, 4, 6])
        assert (len(kept), annotated_frames(kept), measured_frames(kept)) == (4, [0, 3], [3])
        assert np.array_equal(kept.images, square(10).images[6:])

    def test_a_single_frame_kept_back_tells_how_well_a_network_tracks(self, tmp_path):
        entry = replace(write(tmp_path, "a", 10), frames="0,2,4,6,9")
        (kept,) = read_lessons([entry], tmp_path, 0.2).validation
        asked = []

        class Asked(VideoPredictor):
            def predict_frame(self, session, prompt, **options):
                asked.append(("click", prompt.frame))
                return super().predict_frame(session, prompt, **options)

            def propagate(self, session, options):
                asked.append(("follow", options.start, options.stop))
                return super().propagate(session, options)

        with patch.object(finetune_measure, "VideoPredictor", Asked):
            figures = finetune_measure.measure(load_model("bundled"), [kept], Runtime.auto("cpu"))
        assert {one for one in asked if one[0] == "click"} == {("click", 3)}
        assert [one for one in asked if one[0] == "follow"] == [("follow", 0, 3)] * 2
        assert figures.tracking > 0.5

    def test_several_movies_are_split_by_movie(self, tmp_path):
        entries = [write(tmp_path, name, 5) for name in "abcde"]
        found = read_lessons(entries, tmp_path, 0.2)
        names = [{movie.name for movie in movies} for movies in (found.train, found.validation)]
        assert len(names[1]) == 1
        assert len(names[0]) == 4
        assert not names[0] & names[1]
        assert all(len(movie) == 5 for movie in (*found.train, *found.validation))
        again = read_lessons(entries[::-1], tmp_path, 0.2)
        assert {movie.name for movie in again.validation} == names[1]

    def test_what_the_user_says_goes(self, tmp_path):
        entries = [write(tmp_path, "a", 5), replace(write(tmp_path, "b", 5), use="validate")]
        found = read_lessons(entries, tmp_path, 0.2)
        assert [movie.name for movie in found.validation] == ["b_images"]
        with pytest.raises(ValueError, match="nothing is left to learn"):
            read_lessons(entries[1:], tmp_path, 0.2)

    def test_few_frames_all_teach(self, tmp_path):
        for share, frames in ((0.2, 3), (0.0, 10)):
            found = read_lessons([write(tmp_path, "a", frames)], tmp_path, share)
            assert not found.validation
            assert len(found.train[0]) == frames
        assert "no frame is kept back" in found.describe()[1]

    def test_the_fingerprint_changes_with_the_data(self):
        movie = square()
        before = Lessons((movie,)).fingerprint()
        assert before == Lessons((square(),)).fingerprint()
        movie.labels[3, 0, 0] = 7
        assert before != Lessons((movie,)).fingerprint()


class TestClips:
    def test_frames_without_annotation_are_never_judged(self):
        movie = square()
        known = frozenset({0, 1, 4, 5, 8, 9})
        # What stands there must not be read as truth.
        labels = movie.labels.copy()
        labels[[t for t in range(12) if t not in known]] = 0
        clips = SparseClips([replace(movie, labels=labels, annotated=known, _tables={})])
        flags = []
        for seed in range(15):
            clip = clips.clip(np.random.default_rng(seed), 5, 1)
            assert clip.annotated[0]
            assert clip.masks[0].any()
            # The squares stay: every mask that training sees is on a frame that has one.
            assert not clip.present.any(1)[~clip.annotated].any()
            flags.append(clip.annotated.tolist())
        assert any(not all(each) for each in flags)
        assert any(each[1:] != each[:0:-1] for each in flags)
        assert all(sum(each) > 1 for each in flags)

    def test_an_object_that_was_left_out_is_not_gone(self, monkeypatch):
        # The sampler makes objects disappear and leave; here only the labels may.
        monkeypatch.setattr("napari_sam2.training.clip_sampling._VANISH_SHARE", (0.0, 0.0))
        usual = augment.still_motion
        monkeypatch.setattr(augment, "still_motion", lambda rng, n, d, _: usual(rng, n, d, 0.0))
        movie = square()
        labels = movie.labels.copy()
        labels[3:][labels[3:] == 2] = 0
        for lifetimes in (None, {1: (0, 11), 2: (0, 11)}):
            clips = SparseClips([replace(movie, labels=labels, lifetimes=lifetimes, _tables={})])
            cut = [clips.clip(np.random.default_rng(seed), 3, 2) for seed in range(10)]
            gone = [bool((~clip.present & clip.annotated[:, None]).any()) for clip in cut]
            assert any(gone) == (lifetimes is None)

    def test_known_and_unknown(self):
        movie = square(4)
        movie.labels[2][movie.labels[2] == 2] = 0
        sparse = replace(movie, lifetimes={2: (0, 2)}, annotated=frozenset({0, 2, 3}), _tables={})
        assert [sparse.is_known(2, t) for t in range(4)] == [True, False, False, True]
        assert [movie.is_known(2, t) for t in range(4)] == [True] * 4

    def test_the_same_state_cuts_the_same(self):
        clips = SparseClips([square()])
        one, two = (clips.batch(np.random.default_rng(5), 2, 4, 2) for _ in range(2))
        assert (one.images == two.images).all()
        assert (one.masks == two.masks).all()


class TestConfig:
    def test_the_example_is_valid_and_complete(self, tmp_path):
        path = tmp_path / "cells.toml"
        path.write_text(example_config())
        found = read_config(path)
        assert found.options == FineTuneOptions()
        assert found.base == tmp_path
        assert found.data == (DataEntry(path="results"),)
        shown = {line.strip("# ").split(" = ")[0] for line in example_config().splitlines()}
        assert {entry.name for entry in (*fields(DataEntry), *fields(FineTuneOptions))} <= shown

    def test_what_is_commented_out_is_valid_too(self, tmp_path):
        text = example_config().replace('path = "results"', "#")
        lines = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()]
        found = tomllib.loads("\n".join(line for line in lines if line != "# [[data]]"))
        assert DataEntry(**found["data"][0]).frames == "0-9"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "names no data"),
            ("data = 3", "is 3 and no table"),
            ("[[data]]\npath='a'\ncolour=1", "'colour'; known are"),
            ("[[data]]\npath='a'\n[options]\nminuts=1", r"\[options\].*'minuts'; known are"),
            ("[[data]]\npath='a'\n[options]\nminutes='1'", "minutes = '1' is no float"),
            ("[[data]]\npath='a'\n[options]\nminutes=0", "minutes and steps are both 0"),
            ("[[data]]\npath='a'\n[options]\nlearn='all'", "choose one of 'decoder"),
            ("[[data]]\npath='a'\n[options]\nema_decay=2", r"ema_decay = 2 is outside 0 to 1"),
            ("[[data]\npath='a'", "is no TOML file"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path, text, message):
        path = tmp_path / "cells.toml"
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_config(path)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="--example"):
            read_config(tmp_path / "none.toml")
