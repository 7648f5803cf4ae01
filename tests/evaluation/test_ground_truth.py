"""Reading annotated sets, and picking objects from them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_sam2.evaluation.ground_truth import AnnotatedMovie, read_movie, read_stills
from napari_sam2.evaluation.sets import (
    CHALLENGE_SETS,
    EM_STACK,
    KEPT_BACK,
    STILLS,
    connected_bodies,
    open_set,
)
from napari_sam2.evaluation.tasks import (
    first_shown,
    pick_departures,
    pick_masklets,
    pick_stills,
    pick_stretch,
)


@pytest.fixture
def movie_folder(tmp_path, moving_disks):
    movie = moving_disks(frames=6, annotated=(0, 2, 5))
    folder = tmp_path / "tiny"
    folder.mkdir()
    tifffile.imwrite(folder / "tiny_images.tif", movie.images)
    tifffile.imwrite(folder / "tiny_labels.tif", movie.labels)
    info = {"labelled_frame_indices": [0, 2, 5], "frame_numbers": [10, 11, 12, 13, 14, 15]}
    (folder / "info.json").write_text(json.dumps(info))
    (folder / "man_track.txt").write_text("1 10 12 0\n2 13 15 1\n5 3 15 9\n9 40 50 0\n")
    return folder


def test_movie_is_read_with_lifetimes_as_frame_indices(movie_folder):
    movie = read_movie(movie_folder)
    assert movie.images.shape == (6, 96, 112)
    assert movie.annotated == (0, 2, 5)
    assert movie.lifetimes == {1: (0, 2), 2: (3, 5), 5: (0, 5)}
    assert movie.mothers == {2: 1}  # the mother of 5 is not in these frames
    assert movie.lives_until(2, 5)
    assert not movie.lives_until(1, 5)


def test_frames_without_annotation_are_not_background(movie_folder):
    movie = read_movie(movie_folder)
    with pytest.raises(ValueError, match="frame 1 of tiny is not annotated"):
        movie.mask(1, 1)
    with pytest.raises(ValueError, match="frame 3 of tiny is not annotated"):
        movie.objects_on(3)


def test_missing_files_are_named(movie_folder):
    with pytest.raises(ValueError, match=r"tiny_gold\.tif is missing"):
        read_movie(movie_folder, "gold")
    with pytest.raises(ValueError, match="NAPARI_SAM2_DATA"):
        open_set(movie_folder.parent / "absent")


def test_grey_and_colour_stills_are_read(tmp_path):
    labels = np.zeros((12, 14), dtype=np.uint16)
    labels[3:8, 3:8] = 1
    imsave(tmp_path / "007_image.png", labels.astype(np.uint8), check_contrast=False)
    colours = np.zeros((12, 14, 3), dtype=np.uint8)
    imsave(tmp_path / "009_image.png", colours, check_contrast=False)
    for number in (7, 9):
        imsave(tmp_path / f"{number:03d}_labels.png", labels, check_contrast=False)
    grey, colour = read_stills(tmp_path, (7, 9))
    assert grey.images.shape == (1, 12, 14)
    assert colour.images.shape == (1, 12, 14, 3)
    assert grey.objects_on(0) == (1,)


def test_stills_are_picked_the_same_for_the_same_seed(moving_disks):
    movies = [moving_disks(), moving_disks(speed=1.0)]
    picked = [(s.frame, s.object_id) for s in pick_stills(movies, 10, seed=4)]
    assert picked == [(s.frame, s.object_id) for s in pick_stills(movies, 10, seed=4)]
    assert picked != [(s.frame, s.object_id) for s in pick_stills(movies, 10, seed=5)]
    assert len(picked) == 10


def test_stills_are_spread_over_frames_and_leave_out_specks(moving_disks):
    picked = pick_stills([moving_disks(frames=5)], 5, seed=0)
    assert sorted(s.frame for s in picked) == [0, 1, 2, 3, 4]
    assert all(s.object_id != 5 for s in pick_stills([moving_disks()], 99, 0, min_area=200))
    assert len(pick_stills([moving_disks(frames=5)], 99, seed=0)) == 15


def test_masklets_are_scored_on_annotated_frames_only(movie_folder):
    movie = read_movie(movie_folder)
    (task,) = pick_masklets(movie, count=9, length=5, seed=0)
    assert (task.first, task.last, task.scored) == (0, 5, (2, 5))
    assert task.object_ids == (2, 5)  # object 1 ends too early


def test_masklets_share_first_frames(moving_disks):
    tasks = pick_masklets(moving_disks(frames=12), count=5, length=4, seed=1, starts=2)
    assert [task.first for task in tasks] == [0, 7]
    assert [len(task.object_ids) for task in tasks] == [3, 2]


def test_departures_are_scored_only_after_the_end(movie_folder):
    movie = read_movie(movie_folder)
    movie.labels[3:][movie.labels[3:] == 1] = 0  # its track ends on frame 2
    (task,) = pick_departures(movie, count=9, seed=0)
    assert (task.first, task.last, task.object_ids, task.scored) == (0, 5, (1,), (5,))
    assert task.frames_of(1) == (5,)


def test_who_gets_a_new_id_in_the_same_place_has_not_gone(movie_folder):
    movie = read_movie(movie_folder)
    place = movie.labels[2] == 1
    movie.labels[3:][movie.labels[3:] == 1] = 0
    movie.labels[5] = 2 * place
    movie.mothers.clear()
    assert pick_departures(movie, count=9, seed=0) == []
    movie.mothers[2] = 1  # but a daughter is another cell
    assert [task.object_ids for task in pick_departures(movie, count=9, seed=0)] == [(1,)]
    movie.mothers.clear()
    movie.lifetimes[2] = (0, 5)  # and a neighbour that was there before is one too
    assert [task.object_ids for task in pick_departures(movie, count=9, seed=0)] == [(1,)]


def test_without_a_table_of_tracks_nobody_has_gone(moving_disks):
    movie = moving_disks()
    assert pick_departures(movie, count=9, seed=0) == []
    movie.labels[3] = 0
    assert not movie.is_scored(1, 3)


def test_a_still_has_no_masklets(moving_disks):
    assert pick_masklets(moving_disks(frames=1), count=5, length=4, seed=1) == []


@pytest.mark.data
@pytest.mark.parametrize("name", CHALLENGE_SETS)
def test_real_movies_offer_enough_objects(data_folder, name):
    (movie,) = open_set(data_folder / name).movies
    tasks = pick_masklets(movie, 24, 20, seed=0)
    assert 20 <= sum(len(task.object_ids) for task in tasks) <= 24
    assert all(movie.mask(i, task.first).any() for task in tasks for i in task.object_ids)
    assert all(set(task.scored) <= set(movie.annotated) for task in tasks)


@pytest.mark.data
def test_kept_back_stills_are_those_that_training_keeps_back(data_folder):
    training = pytest.importorskip("napari_sam2.training.datasets")
    split = training.dsb2018_split(data_folder / STILLS)
    assert set(KEPT_BACK) <= set(split["validation"])
    assert not set(KEPT_BACK) & set(split["train"])
    assert len(open_set(data_folder / STILLS).movies) == len(KEPT_BACK) == 49


def test_stack_knows_lives_and_lineage_from_its_labels(dividing_disk):
    movie = dividing_disk()
    assert movie.lifetimes == {1: (0, 3), 2: (4, 8), 3: (4, 8), 4: (0, 8)}
    assert movie.complete
    assert movie.is_scored(1, 7)  # gone, and that is known
    with pytest.raises(ValueError, match="both must have"):
        AnnotatedMovie.of_stack("x", movie.images[1:], movie.labels)
    with pytest.raises(ValueError, match="no object"):
        AnnotatedMovie.of_stack("x", movie.images, np.zeros_like(movie.labels))


def test_newcomers_are_clicked_when_enough_of_them_is_there(dividing_disk):
    movie = dividing_disk()
    movie.labels[4][:, :36][movie.labels[4][:, :36] == 2] = 0  # a sliver is left of disk 2
    assert 0 < (movie.labels[4] == 2).sum() < 50
    assert first_shown(movie, 0, 8) == {1: 0, 2: 5, 3: 4, 4: 0}


def test_stretch_prefers_what_comes_and_goes(dividing_disk):
    task = pick_stretch(dividing_disk(), 3, 6, seed=0)
    assert task.starts == {1: 0, 2: 4, 3: 4}
    assert task.prompt == "mask"
    assert task.frames_of(1) == (1, 2, 3, 4, 5, 6)  # the mother has to vanish by herself
    assert pick_stretch(dividing_disk(), 3, 99, seed=0) is None


def test_bodies_cut_in_two_are_two_objects():
    labels = np.zeros((3, 20, 20), dtype=np.uint16)
    labels[:, 2:8, 2:8] = 4
    labels[:, 12:18, 2:8] = 4
    labels[1, 2:8, 8:12] = 7
    parts = connected_bodies(labels)
    assert len(np.unique(parts)) == 1 + 3
    assert parts[0, 3, 3] == parts[2, 3, 3] != parts[0, 14, 3]
    joined = labels.copy()
    joined[2, 8:12, 2:8] = 4  # one body in three dimensions, two profiles on the first slice
    movie = AnnotatedMovie.of_stack("em", joined, connected_bodies(joined), pieces=True)
    assert pick_stills([movie], 9, seed=0, min_area=20) != []
    assert {(s.frame, s.object_id) for s in pick_stills([movie], 9, 0, 20)} == {(1, 2), (2, 1)}


@pytest.mark.data
def test_only_slices_that_were_kept_back_are_asked_for(data_folder):
    (movie,) = open_set(data_folder / EM_STACK).movies
    assert len(movie.images) == 20
    assert len(pick_stills([movie], 40, seed=0)) == 40
    (challenge,) = open_set(data_folder / CHALLENGE_SETS[2]).movies
    assert set(challenge.gold) <= set(range(92))
    assert challenge.mothers
