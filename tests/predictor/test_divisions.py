"""A network that has seen cells divide ends mothers whose mask goes over to one daughter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam2.masklets import MaskRecord
from napari_sam2.model.checkpoint import load_model
from napari_sam2.model.division import load_division_net
from napari_sam2.predictor.division_crops import SIDE, DivisionWindow, division_crops
from napari_sam2.predictor.divisions import daughters_of, divided_on
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
    return dividing_cells(frames=16, seed=7)


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
    session = followed(cells, mother, 0, born - 2)
    assert divided_on(session, (born - 1, 1), {1: record(cells, born - 1, mother)}) == {}


def test_a_daughter_that_a_person_clicked_lives(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 1, born - 1)
    session.locks.limit(1, born - 1, None)
    assert divided_on(session, (born, 1), {1: record(cells, born, daughters[0])}) == {}


def test_who_clicks_one_daughter_lets_the_mother_live_on_as_the_other(cells) -> None:
    mother, daughters, born = division(cells)
    session = followed(cells, mother, born - 4, born - 1)
    other = record(cells, born, daughters[1])
    assert divided_on(session, (born, 1), {1: other})
    session.add(MaskPrompt(2, born, cells.labels[born] == daughters[0]))
    VideoPredictor(load_model("bundled"), Runtime.auto("cpu", "float32")).commit(session)
    assert divided_on(session, (born, 1), {1: other}) == {}


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
    old, before, now, mask = division_crops([frame, frame, frame // 2], cell)
    assert old.shape == (SIDE, SIDE)
    corner = np.s_[:10, :10]
    assert (before[corner] == before.max()).all()
    assert float(mask[corner].float().mean()) == 0, "no mask outside the frame"
    assert now.max() < before.max()
    place = window.place_of((6.0, 3.0))
    assert window.point_at(place) == pytest.approx((6.0, 3.0))


def test_light_and_range_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(100, 200, (40, 40)).astype(np.uint16) for _ in range(3)]
    cell = MaskRecord.from_mask(disk(40))
    mapping = IntensityMapping((0,), (60000,))
    plain = division_crops(frames, cell).int()
    bright = division_crops([250 * one for one in frames], cell, mapping).int()
    assert int((plain - bright).abs().max()) <= 1
    even = division_crops([np.full((40, 40), 7, np.uint8)] * 3, cell)
    assert len(even[:3].unique()) == 1


def disk(side: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[:side, :side]
    return (y - side // 2) ** 2 + (x - side // 2) ** 2 < (side // 5) ** 2


def test_the_network_that_ships_tells_divisions_of_nuclei_kept_back() -> None:
    movies = [random_movie(KEPT_BACK_SEED + 16 * n, 14, kind="nuclei") for n in range(8)]
    rng = np.random.default_rng(0)
    samples = [draw_samples(movie, rng) for movie in movies]
    figures = measure_divisions(load_division_net(), type(samples[0]).joined(samples))
    assert figures.precision > 0.8
