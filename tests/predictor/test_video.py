"""The engine's contract, on a random network: what does not depend on what masks look like."""

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2.model.sam2 import SAM2
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt


def run(predictor: VideoPredictor, session: VideoSession, **options: object) -> list[int]:
    return [r.frame for r in predictor.propagate(session, PropagateOptions(**options))]


def masks(session: VideoSession, object_id: int) -> dict[int, np.ndarray]:
    return {f: session.masklets.mask(object_id, f) for f in session.masklets.frames(object_id)}


def square(movie: np.ndarray, y: int, x: int, size: int = 10) -> np.ndarray:
    mask = np.zeros(movie.shape[1:], bool)
    mask[y : y + size, x : x + size] = True
    return mask


def test_a_click_is_answered_and_memory_is_not_written(predictor, movie) -> None:
    session = VideoSession.open(movie)
    result = predictor.predict_frame(session, PointPrompt(7, 2, (15, 25)))
    (answer,) = result.objects
    assert (result.frame, answer.object_id, answer.frame) == (2, 7, 2)
    assert answer.record.prompted
    assert 0 <= answer.record.predicted_iou <= 1
    assert len(answer.candidates) == 3
    assert session.masklets.record(7, 2) == answer.record
    assert session.objects[7].bank.get(2) is None
    assert result.generation == session.generation


def test_a_second_click_gives_one_mask(predictor, movie) -> None:
    session = VideoSession.open(movie)
    predictor.predict_frame(session, PointPrompt(1, 2, (15, 25)))
    result = predictor.predict_frame(session, PointPrompt(1, 2, (40, 60), positive=False))
    assert result.objects[0].candidates == ()


def test_propagating_both_ways_visits_every_frame_once(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 4, (18, 30)))
    assert run(predictor, session) == [4, 5, 6, 7, 8, 9, 3, 2, 1, 0]
    assert session.masklets.frames(1) == tuple(range(10))


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({"direction": "forward"}, [4, 5, 6, 7, 8, 9]),
        ({"direction": "backward"}, [4, 3, 2, 1, 0]),
        ({"start": 3, "stop": 6}, [4, 5, 6, 3]),
        ({"start": 6, "stop": 7, "direction": "forward"}, [6, 7]),
        ({"start": 0, "stop": 0}, [0]),
    ],
)
def test_directions_and_ranges(predictor, movie, options, frames) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 4, (18, 30)))
    assert run(predictor, session, **options) == frames


def test_objects_prompted_on_different_frames_have_passes_of_their_own(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 2, (15, 25)))
    session.add(PointPrompt(2, 6, (20, 35)))
    seen: dict[int, list[int]] = {1: [], 2: []}
    for result in predictor.propagate(session):
        for answer in result.objects:
            seen[answer.object_id].append(answer.frame)
    assert seen[1] == [2, 3, 4, 5, 6, 7, 8, 9, 1, 0]
    assert seen[2] == [6, 7, 8, 9, 5, 4, 3, 2, 1, 0]


def test_objects_do_not_depend_on_each_other(small_model, cpu, movie) -> None:
    predictor = VideoPredictor(small_model, cpu, PredictorOptions(view="whole", overlap="keep"))
    together, alone = VideoSession.open(movie), VideoSession.open(movie)
    for session in (together, alone):
        session.add(PointPrompt(1, 0, (12, 22)))
    together.add(BoxPrompt(2, 0, (30, 40, 44, 60)))
    together.add(MaskPrompt(3, 0, square(movie, 5, 50)))
    run(predictor, together)
    run(predictor, alone)
    for frame, mask in masks(alone, 1).items():
        # Batches may round differently: a pixel at the threshold may turn.
        assert (together.masklets.mask(1, frame) != mask).mean() < 0.002


def test_an_object_added_after_tracking_is_tracked_alone(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    run(predictor, session)
    before = masks(session, 1)
    session.add(MaskPrompt(2, 5, square(movie, 30, 50)))
    seen = set()
    for result in predictor.propagate(session, PropagateOptions(objects=(2,))):
        seen |= {answer.object_id for answer in result.objects}
    assert seen == {2}
    assert session.masklets.frames(2) == tuple(range(10))
    for frame, mask in before.items():
        assert np.array_equal(session.masklets.mask(1, frame), mask)


def test_a_mask_prompt_comes_back_to_the_pixel(predictor, movie) -> None:
    session = VideoSession.open(movie)
    mask = square(movie, 20, 31, size=3)
    mask[40, 60] = True
    predictor.predict_frame(session, MaskPrompt(1, 3, mask))
    run(predictor, session)
    assert np.array_equal(session.masklets.mask(1, 3), mask)


def test_masks_of_one_frame_do_not_overlap(predictor, movie) -> None:
    session = VideoSession.open(movie)
    for object_id, yx in enumerate([(12, 22), (14, 30), (30, 50), (40, 10)], start=1):
        session.add(PointPrompt(object_id, 0, yx))
    for result in predictor.propagate(session):
        tracked = [a for a in result.objects if not a.record.prompted]
        total = sum(a.record.mask(movie.shape[1:]).astype(int) for a in tracked)
        assert np.max(total, initial=0) <= 1


def test_a_correction_wins_in_both_directions(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(MaskPrompt(1, 0, square(movie, 10, 20, 16)))
    run(predictor, session)
    first = {f: session.masklets.record(1, f) for f in range(10)}
    fixed = square(movie, 30, 50, 8)
    predictor.predict_frame(session, MaskPrompt(1, 5, fixed))
    run(predictor, session)
    second = {f: session.masklets.record(1, f) for f in range(10)}
    assert np.array_equal(session.masklets.mask(1, 5), fixed)
    assert second[0] == first[0]
    for frame in (4, 6):
        # Scores and all: a random network's masks alone may happen to agree.
        assert second[frame] != first[frame]


def test_a_correcting_click_on_a_tracked_frame_survives_the_next_run(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(MaskPrompt(1, 0, square(movie, 10, 20, 16)))
    run(predictor, session)
    first = masks(session, 1)
    answer = predictor.predict_frame(session, PointPrompt(1, 5, (40, 60))).objects[0]
    corrected = answer.record.mask(movie.shape[1:])
    assert not np.array_equal(corrected, first[5])
    run(predictor, session)
    assert np.array_equal(session.masklets.mask(1, 5), corrected)
    assert not np.array_equal(session.masklets.mask(1, 6), first[6])


def test_refining_the_first_frame_after_tracking_is_not_lost(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    run(predictor, session)
    first = masks(session, 1)
    predictor.predict_frame(session, PointPrompt(1, 0, (40, 60)))
    run(predictor, session)
    assert not np.array_equal(session.masklets.mask(1, 0), first[0])
    assert not np.array_equal(session.masklets.mask(1, 3), first[3])


def test_a_further_click_reuses_the_memory_attention(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    run(predictor, session)
    predictor.predict_frame(session, PointPrompt(1, 5, (15, 30)))
    conditioned = session.objects[1].conditioned
    predictor.predict_frame(session, PointPrompt(1, 5, (25, 40)))
    assert conditioned is not None
    assert session.objects[1].conditioned is conditioned


def test_stop_and_go_on(predictor, movie) -> None:
    whole, parted = VideoSession.open(movie), VideoSession.open(movie)
    for session in (whole, parted):
        session.add(PointPrompt(1, 0, (12, 22)))
    run(predictor, whole, direction="forward")
    generator = predictor.propagate(parted, PropagateOptions(direction="forward"))
    done = [next(generator).frame for _ in range(4)]
    generator.close()
    assert done == [0, 1, 2, 3]
    assert parted.masklets.frames(1) == (0, 1, 2, 3)
    assert run(predictor, parted, direction="forward", resume=True) == [4, 5, 6, 7, 8, 9]
    for frame, mask in masks(whole, 1).items():
        assert np.array_equal(parted.masklets.mask(1, frame), mask)


def test_resuming_when_nothing_changed_does_nothing(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 3, (12, 22)))
    run(predictor, session)
    assert run(predictor, session, resume=True) == []


def test_prompts_given_between_two_frames_of_a_run_count(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    fixed = square(movie, 30, 50, 8)
    for result in predictor.propagate(session, PropagateOptions(direction="forward")):
        if result.frame == 2:
            session.add(MaskPrompt(1, 4, fixed))
    assert np.array_equal(session.masklets.mask(1, 4), fixed)


def test_undo_takes_an_answer_back(predictor, movie) -> None:
    session = VideoSession.open(movie)
    first = predictor.predict_frame(session, PointPrompt(1, 2, (15, 25))).objects[0].record
    predictor.predict_frame(session, PointPrompt(1, 2, (40, 60)))
    session.prompts.undo()
    again = predictor.predict_frame(session, object_id=1, frame=2).objects[0].record
    assert again == first


def test_a_removed_object_is_gone_and_the_others_go_on(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    session.add(PointPrompt(2, 0, (30, 50)))
    generator = predictor.propagate(session, PropagateOptions(direction="forward"))
    for _ in range(3):
        next(generator)
    predictor.remove_object(session, 1)
    rest = list(generator)
    assert {a.object_id for r in rest for a in r.objects} == {2}
    assert session.masklets.object_ids() == (2,)


def test_an_object_whose_only_prompt_was_cleared_does_not_stop_the_others(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    session.add(PointPrompt(2, 0, (30, 50)))
    run(predictor, session)
    session.prompts.clear(1, 0)
    assert len(run(predictor, session)) == 10


def test_an_object_prompted_absent_stays_absent_there(predictor, movie) -> None:
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    session.add(MaskPrompt(1, 5, np.zeros(movie.shape[1:], bool)))
    run(predictor, session)
    record = session.masklets.record(1, 5)
    assert record is not None
    assert not record.visible
    assert record.object_score < 0


def test_memory_holds_the_window_only(predictor) -> None:
    movie = np.random.default_rng(0).integers(0, 255, (80, 32, 32)).astype(np.uint8)
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (10, 10)))
    sizes = []
    for _ in predictor.propagate(session):
        sizes.append(len(session.objects[1].bank.recent))
    reach = predictor.model.config.max_object_pointers - 1
    assert max(sizes) <= 2 * reach


def test_keeping_memories_makes_a_late_correction_exact(small_model, cpu) -> None:
    movie = np.random.default_rng(0).integers(0, 255, (30, 32, 32)).astype(np.uint8)
    click = PointPrompt(1, 12, (20, 20))
    answers = {}
    for last in (12, 29):
        options = PredictorOptions(view="whole", keep_memories=True)
        predictor = VideoPredictor(small_model, cpu, options)
        session = VideoSession.open(movie)
        session.add(PointPrompt(1, 0, (10, 10)))
        run(predictor, session, stop=last)
        answers[last] = predictor.predict_frame(session, click).objects[0].record
    assert answers[12] == answers[29]


def test_one_frame_is_a_movie(predictor, movie) -> None:
    session = VideoSession.open(movie[0])
    session.add(PointPrompt(1, 0, (12, 22)))
    assert run(predictor, session) == [0]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64", "bool"])
def test_any_number_type(predictor, movie, dtype) -> None:
    session = VideoSession.open((movie > 500) if dtype == "bool" else movie.astype(dtype))
    session.add(PointPrompt(1, 0, (12, 22)))
    assert len(run(predictor, session)) == 10


def test_lazy_arrays_give_the_same_masks(predictor, movie, tmp_path) -> None:
    stored = zarr.create_array(tmp_path / "m.zarr", shape=movie.shape, dtype=movie.dtype)
    stored[:] = movie
    results = []
    for array in (movie, da.from_array(movie, chunks=(1, 48, 72)), stored):
        session = VideoSession.open(array)
        session.add(PointPrompt(1, 0, (12, 22)))
        run(predictor, session)
        results.append(session.masklets.to_labels())
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_channels(predictor, movie) -> None:
    colour = np.stack([movie, movie[::-1], movie], axis=-1)
    session = VideoSession.open(colour)
    session.add(PointPrompt(1, 0, (12, 22)))
    assert len(run(predictor, session)) == 10


def test_following_views_hand_an_object_over(small_model: SAM2, cpu: Runtime) -> None:
    movie = np.zeros((6, 400, 400), np.uint8)
    predictor = VideoPredictor(small_model, cpu, PredictorOptions(view="follow"))
    session = VideoSession.open(movie + np.arange(400, dtype=np.uint8))
    for frame, x in ((0, 20), (2, 180), (4, 340)):
        mask = np.zeros(movie.shape[1:], bool)
        mask[180:200, x : x + 20] = True
        session.add(MaskPrompt(1, frame, mask))
    views = set()
    for result in predictor.propagate(session, PropagateOptions(direction="forward")):
        view = session.objects[1].view
        assert view is not None
        views.add(view)
        if result.frame in (1, 3, 5):
            before = session.masklets.record(1, result.frame - 1)
            assert before is not None
            assert view.contains(before.bbox)
            bank = session.objects[1].bank
            assert {m.view for m in bank.prompted.values()} == {view}
    assert len(views) >= 3


def test_another_network_starts_afresh(small_model, cpu, movie, predictor) -> None:
    other = VideoPredictor(SAM2(small_model.config), cpu, PredictorOptions(view="whole"))
    session = VideoSession.open(movie)
    session.add(PointPrompt(1, 0, (12, 22)))
    run(predictor, session)
    run(other, session)
    assert session.model is other.model
    assert session.masklets.frames(1) == tuple(range(10))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (PointPrompt(1, 10, (5, 5)), "frames 0 to 9"),
        (PointPrompt(1, 0, (48.0, 5)), "outside the frame of 48 x 72"),
        (PointPrompt(1, 0, (5, -1)), "outside the frame"),
        (BoxPrompt(1, 0, (60, 10, 70, 20)), "outside the frame"),
        (MaskPrompt(1, 0, np.ones((4, 4), bool)), r"shape \(4, 4\): frames are 48 x 72"),
    ],
)
def test_prompts_outside_the_movie_are_refused(predictor, movie, prompt, message) -> None:
    session = VideoSession.open(movie)
    with pytest.raises(ValueError, match=message):
        predictor.predict_frame(session, prompt)
    assert len(session.prompts) == 0


def test_nothing_to_propagate_says_so(predictor, movie) -> None:
    session = VideoSession.open(movie)
    with pytest.raises(ValueError, match="no object has a prompt"):
        run(predictor, session)
    session.add(PointPrompt(1, 0, (12, 22)))
    with pytest.raises(ValueError, match="object 3 has no prompts"):
        run(predictor, session, objects=(3,))
    with pytest.raises(ValueError, match="frames 5 to 20"):
        run(predictor, session, start=5, stop=20)
