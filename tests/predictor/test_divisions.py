"""A network that has seen cells divide ends mothers, whatever their mask goes over to."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.division import load_division_net
from napari_sam2.predictor.composed_frames import LineFrames
from napari_sam2.predictor.division_crops import (
    SIDE,
    DivisionWindow,
    division_crops,
    frames_around,
)
from napari_sam2.predictor.divisions import daughters_of, divided_on
from napari_sam2.predictor.frames import ArrayFrames
from napari_sam2.predictor.intensity import IntensityMapping
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import MaskPrompt
from napari_sam2.tracking.proposals import DivisionWatch
from napari_sam2.training.division_data import KEPT_BACK_SEED, draw_samples
from napari_sam2.training.divisions import measure_divisions
from napari_sam2.training.synthetic import SyntheticMovie, dividing_cells, random_movie


@pytest.fixture(scope="module")
def cells() -> SyntheticMovie:
    """Nuclei that divide, of a seed that nothing was trained on."""
    return dividing_cells(frames=16, seed=3)


def division(cells: SyntheticMovie) -> tuple[int, list[int], int]:
    """Return a mother, her daughters, and their first frame."""
    mother = max(cells.lineage.values())
    daughters = [one for one, of in cells.lineage.items() if of == mother]
    return mother, daughters, 1 + max(t for t in range(16) if (cells.labels[t] == mother).any())


def record(cells: SyntheticMovie, frame: int, *labels: int) -> MaskRecord:
    return MaskRecord.from_mask(np.isin(cells.labels[frame], labels), predicted_iou=0.9)


def followed(cells: SyntheticMovie, label: int, first: int, last: int) -> VideoSession:
    """Return a session in which a cell was followed without a fault."""
    session = VideoSession.open(cells.images)
    session.add(MaskPrompt(1, first, cells.labels[first] == label))
    VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")).commit(session)
    for frame in range(first + 1, last + 1):
        session.masklets.write(1, frame, record(cells, frame, label))
    return session


def test_a_mask_that_goes_over_to_one_daughter_ends(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, max(born - 4, 0), born - 1)
    for daughter in daughters:
        found = divided_on(session, (born, 1), {1: record(cells, born, daughter)})
        assert 0.5 < found[1] <= 1
    assert divided_on(session, (born, -1), {1: record(cells, born, daughters[0])}) == {}
    session.add(MaskPrompt(1, born + 1, cells.labels[born + 1] == daughters[0]))
    assert divided_on(session, (born, 1), {1: record(cells, born, daughters[0])}) == {}


def test_a_mother_ends_where_only_the_next_frame_makes_it_plain() -> None:
    cells = dividing_cells(frames=16, seed=1)
    mother, daughters, born = division(cells)
    both = ndimage.binary_closing(np.isin(cells.labels[born], daughters), iterations=4)
    held = MaskRecord.from_mask(both, predicted_iou=0.9)
    session = followed(cells, mother, born - 4, born - 1)
    assert divided_on(session, (born, 1), {1: held})[1] > 0.99
    whole = record(cells, born - 1, mother)
    assert divided_on(session, (born - 1, 1), {1: whole}) == {}, "not a frame too early"
    ends_here = replace(cells, images=cells.images[: born + 1])
    session = followed(ends_here, mother, born - 4, born - 1)
    assert divided_on(session, (born, 1), {1: held}) == {}


def test_a_mask_that_grows_must_be_surer_than_one_that_shrinks() -> None:
    cells = dividing_cells(frames=16, seed=15)
    mother, _, born = division(cells)
    session = followed(cells, mother, born - 4, born - 1)
    before = cells.labels[born - 1] == mother
    masks = {True: ndimage.binary_erosion(before), False: ndimage.binary_dilation(before)}
    for is_told, mask in masks.items():
        found = divided_on(session, (born, 1), {1: MaskRecord.from_mask(mask, predicted_iou=0.9)})
        assert (1 in found) == is_told


def test_a_line_through_stacks_is_looked_at_as_far_as_it_is_known(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 4, born - 1)
    one = {1: record(cells, born, daughters[0])}
    stacks = ArrayFrames(cells.images.reshape(8, 2, *cells.images.shape[1:]), axes="TZYX")
    for source, may_divide in ((ArrayFrames(cells.images), True), (stacks, False)):
        line = session.on_line(range(16))
        line.frames = line._source = LineFrames(source, list(range(16)))
        line.objects, line.masklets, line.prompts = (
            session.objects,
            session.masklets,
            session.prompts,
        )
        # Planes that come later are chosen as the run gets there; through depth nothing divides.
        assert (1 in divided_on(line, (born, 1), one)) == may_divide
        assert max(line._last_read, default=0) <= born


def test_a_later_frame_that_cannot_be_read_is_not_looked_at(cells) -> None:
    class Bad(ArrayFrames):
        def read(self, t: int) -> NDArray[np.generic]:
            if t > born:
                raise OSError(5, "Input/output error")
            return super().read(t)

    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 4, born - 1)
    session.frames = session._source = Bad(cells.images)
    session._last_read = {}
    assert 1 in divided_on(session, (born, 1), {1: record(cells, born, daughters[0])})
    assert daughters_of(session, 1, born)
    assert daughters_of(session, 1, born, later=1) is None


def test_a_mask_that_leaps_to_a_neighbour_has_not_divided(cells) -> None:
    mothers = set(cells.lineage.values())
    shown = [set(np.unique(cells.labels[t])) for t in (4, 5)]
    living = sorted(shown[0] & shown[1] - {0} - mothers)
    assert len(living) > 5
    for label, other in pairwise(living):
        session = followed(cells, label, 0, 4)
        assert divided_on(session, (5, 1), {1: record(cells, 5, other)}) == {}


def test_what_is_followed_well_is_not_asked_about(cells, monkeypatch) -> None:
    monkeypatch.setattr("napari_sam2.predictor.divisions._shipped", lambda: pytest.fail("asked"))
    mother, _, born = division(cells)
    session = followed(cells, mother, 0, born - 1)
    assert divided_on(session, (born, 1), {1: record(cells, born - 1, mother)}) == {}


def test_a_mask_that_took_in_a_neighbour_for_a_frame_has_not_divided(cells, monkeypatch) -> None:
    mothers = set(cells.lineage.values())
    living = sorted(set(np.unique(cells.labels[4])) & set(np.unique(cells.labels[8])) - mothers)
    living = [one for one in living if one and (cells.labels[4:9] == one).any((1, 2)).all()]
    away = ndimage.distance_transform_edt
    told = 0
    for label in living:
        others = [one for one in living if one != label]
        near = min(
            others, key=lambda one: away(cells.labels[7] != label)[cells.labels[7] == one].min()
        )
        session = followed(cells, label, 4, 6)
        session.masklets.write(1, 7, record(cells, 7, label, near))
        alone = {1: record(cells, 8, label)}
        assert divided_on(session, (8, 1), alone) == {}
        with monkeypatch.context() as patched:
            patched.setattr("napari_sam2.predictor.divisions._GROWN", np.inf)
            told += 1 in divided_on(session, (8, 1), alone)
    assert told > 1, "the network takes both for daughters"


def test_a_cell_that_was_just_clicked_is_not_ended_by_the_division_it_comes_of(
    cells, monkeypatch
) -> None:
    _, daughters, born = division(cells)
    session = followed(cells, daughters[0], born, born)
    both = {1: record(cells, born + 1, *daughters)}
    session.masklets.write(1, born, record(cells, born, *daughters))
    assert divided_on(session, (born + 1, 1), both) == {}
    monkeypatch.setattr("napari_sam2.predictor.divisions._REACH", 0)
    assert 1 in divided_on(session, (born + 1, 1), both), "her mask shows two cells"


def test_half_a_mask_of_a_cell_that_has_not_divided_does_not_end_it(cells) -> None:
    mothers = set(cells.lineage.values())
    living = sorted(
        set(np.unique(cells.labels[0])) & set(np.unique(cells.labels[10])) - {0} - mothers
    )
    assert len(living) > 3
    for label in living:
        session = followed(cells, label, 0, 8)
        shown = cells.labels[9] == label
        rows = np.flatnonzero(shown.any(1))
        shown[: (rows[0] + rows[-1]) // 2] = False
        session.masklets.write(1, 9, MaskRecord.from_mask(shown, predicted_iou=0.6))
        assert divided_on(session, (10, 1), {1: record(cells, 10, label)}) == {}


def test_a_daughter_that_a_person_clicked_lives(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 1, born - 1)
    session.locks.limit(1, born - 1, None)
    assert divided_on(session, (born, 1), {1: record(cells, born, daughters[0])}) == {}


@pytest.mark.parametrize("early", [0, 1])
def test_who_prompts_one_daughter_lets_the_mother_live_on_as_the_other(cells, early) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 4, born - 1)
    one, other = (record(cells, born, daughter) for daughter in daughters)
    tracked = {1: other} | ({2: one} if early else {})
    assert divided_on(session, (born, 1), tracked).keys() == {1}
    prompt(session, 2, born - early, one.mask(session.shape[1:]))
    assert divided_on(session, (born, 1), tracked) == {}
    prompt(session, 3, born, other.mask(session.shape[1:]))
    assert divided_on(session, (born, 1), tracked).keys() == {1}, "nothing is left of the mother"


def test_who_corrects_a_neighbour_says_nothing_of_a_division_beside_it(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 4, born - 1)
    one, other = (record(cells, born, daughter) for daughter in daughters)
    for frame in (born - 4, born):
        prompt(session, 2, frame, one.mask(session.shape[1:]))
    assert divided_on(session, (born, 1), {1: other}).keys() == {1}


def prompt(session: VideoSession, object_id: int, frame: int, mask: NDArray[np.bool_]) -> None:
    session.add(MaskPrompt(object_id, frame, mask))
    VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")).commit(session)


def test_both_daughters_are_found_where_they_are(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 1, born - 1)
    points = daughters_of(session, 1, born)
    found = {int(cells.labels[born][round(y), round(x)]) for y, x in points}
    assert found == set(daughters)
    assert daughters_of(session, 1, born + 1) is None, "she was not seen just before"


def test_a_run_ends_the_mother_where_she_divides_and_proposes_it(cells) -> None:
    mother, _, born = division(cells)
    session = VideoSession.open(cells.images)
    session.add(MaskPrompt(1, 0, cells.labels[0] == mother))
    list(VideoPredictor(load_model("bundled"), Runtime.auto("cpu")).propagate(session))
    states = [session.masklets.record(1, t) for t in range(16)]
    assert all(one.visible for one in states[:born])
    assert all(one.has_ended for one in states[born:])
    (found,) = DivisionWatch().propose(session.masklets)
    assert (found.mother, found.frame) == (1, born)


def test_the_window_is_of_the_cell_and_goes_on_behind_the_border() -> None:
    frame = np.zeros((60, 60), np.uint16)
    frame[0:12, 0:12] = 500
    cell = MaskRecord.from_mask(frame > 0)
    window = DivisionWindow.around(cell)
    assert window.side == pytest.approx(3 * np.sqrt(4 * 144 / np.pi), abs=1)
    old, before, now, after, mask = division_crops([frame, frame, frame // 2, frame // 4], cell)
    assert old.shape == (SIDE, SIDE)
    corner = np.s_[:10, :10]
    assert (before[corner] == before.max()).all()
    assert float(mask[corner].float().mean()) == 0, "no mask outside the frame"
    assert after.max() < now.max() < before.max()
    place = window.place_of((6.0, 3.0))
    assert window.point_at(place) == pytest.approx((6.0, 3.0))


def test_at_the_ends_of_a_movie_the_nearest_frames_are_seen() -> None:
    assert frames_around(5, 9) == (3, 4, 5, 6)
    assert frames_around(1, 9) == (0, 0, 1, 2)
    assert frames_around(8, 9) == (6, 7, 8, 8)


def test_light_and_range_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(100, 200, (40, 40)).astype(np.uint16) for _ in range(4)]
    cell = MaskRecord.from_mask(disk(40))
    mapping = IntensityMapping((0,), (60000,))
    plain = division_crops(frames, cell).int()
    bright = division_crops([250 * one for one in frames], cell, mapping).int()
    assert int((plain - bright).abs().max()) <= 1
    even = division_crops([np.full((40, 40), 7, np.uint8)] * 4, cell)
    assert len(even[:4].unique()) == 1


def disk(side: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[:side, :side]
    return (y - side // 2) ** 2 + (x - side // 2) ** 2 < (side // 5) ** 2


def test_the_network_that_ships_tells_divisions_of_nuclei_kept_back() -> None:
    movies = [random_movie(KEPT_BACK_SEED + 16 * n, 14, kind="nuclei") for n in range(8)]
    rng = np.random.default_rng(0)
    samples = [draw_samples(movie, rng) for movie in movies]
    figures = measure_divisions(load_division_net(), type(samples[0]).joined(samples))
    assert figures.precision > 0.8
