"""Bad input and bad luck: a clear error with the remedy, or it simply works; nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch

from napari_sam2.masklets import MaskletSet
from napari_sam2.model.checkpoint import load_model
from napari_sam2.predictor.frames import ArrayFrames, IntensityMapping
from napari_sam2.predictor.image import ImagePredictor
from napari_sam2.predictor.options import PredictorOptions, PropagateOptions
from napari_sam2.predictor.runtime import Runtime
from napari_sam2.predictor.session import VideoSession
from napari_sam2.predictor.video import VideoPredictor
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

VIEWS = ["whole", "follow"]


@pytest.fixture(params=VIEWS)
def any_view(request, small_model, cpu):
    """A predictor that sees the whole frame, and one that follows objects."""
    return VideoPredictor(small_model, cpu, PredictorOptions(view=request.param))


def masks_of(session, object_id=1):
    found = session.masklets.frames(object_id)
    return {frame: session.masklets.mask(object_id, frame) for frame in found}


def same(first, second):
    return first.keys() == second.keys() and all((first[t] == second[t]).all() for t in first)


def whole_run(predictor, movie, *prompts):
    session = VideoSession.open(movie)
    for prompt in prompts:
        session.add(prompt)
    results = list(predictor.propagate(session))
    for result in results:
        for answer in result.objects:
            assert np.isfinite((answer.record.predicted_iou, answer.record.object_score)).all()
    return session


class TestMovies:
    @pytest.mark.parametrize(
        ("movie", "message"),
        [
            ("cells.tif", "not a path: open 'cells.tif' with napari_sam2.io.read.read_movie"),
            (Path("cells.tif"), r"not a path: open 'cells\.tif'"),
            (None, "type object: convert"),
            ([], r"shape \(0,\)"),
            (np.zeros((0, 48, 72)), r"the movie is empty: its shape is \(0, 48, 72\)"),
            (np.zeros((4, 0, 72)), r"the movie is empty: its shape is \(4, 0, 72\)"),
            (da.zeros((0, 48, 72)), "the movie is empty"),
            (np.zeros((2, 48, 72), complex), "complex128: convert"),
            (np.zeros((2, 3, 4, 48, 72)), "5 axes.*choose one position"),
            (np.zeros((2, 3, 48, 72)), "72 channels: say which axis is which"),
        ],
    )
    def test_what_is_no_movie(self, movie, message):
        with pytest.raises(ValueError, match=message):
            VideoSession.open(movie)

    @pytest.mark.parametrize("axes", ["TCY", "TYXC", "TYY", "XY"])
    def test_axes_that_make_no_sense(self, axes):
        with pytest.raises(ValueError, match="give one different letter an axis"):
            VideoSession.open(np.zeros((4, 48, 72)), axes=axes)

    @pytest.mark.parametrize("value", [0, 1, 65535, -3.5, np.nan, np.inf, -np.inf])
    def test_a_constant_movie_simply_works(self, any_view, value):
        movie = np.full((4, 48, 72), value, np.float32)
        session = whole_run(any_view, movie, PointPrompt(1, 1, (20, 30)))
        assert session.masklets.frames(1) == (0, 1, 2, 3)

    def test_values_that_are_no_numbers_are_seen_as_black(self, any_view, movie):
        holes = movie.astype(np.float32)
        holes[2] = np.nan
        holes[5, ::2] = np.nan
        holes[6, 3] = np.inf
        holes[7, 4] = -np.inf
        filled = np.where(np.isposinf(holes), 1e9, np.nan_to_num(holes, nan=-1e9, neginf=-1e9))
        mapping = IntensityMapping.from_limits(0, 1000)
        sessions = [VideoSession.open(one, mapping) for one in (holes, filled)]
        for session in sessions:
            session.add(PointPrompt(1, 4, (20, 30)))
            list(any_view.propagate(session))
        assert same(*map(masks_of, sessions))

    @pytest.mark.parametrize("shape", [(2, 1, 1), (2, 5, 7), (2, 1, 300), (2, 300, 3)])
    def test_very_small_frames(self, any_view, shape):
        movie = np.random.default_rng(0).integers(0, 99, shape).astype(np.uint8)
        session = whole_run(any_view, movie, PointPrompt(1, 0, (0, 0)))
        assert session.masklets.to_labels().shape == shape

    def test_a_mapping_for_another_number_of_channels(self, predictor):
        mapping = IntensityMapping.from_limits(0, 1)
        session = VideoSession.open(np.zeros((3, 20, 30, 2)), mapping)
        with pytest.raises(ValueError, match=r"for frames of 1 channels, not of shape .*20, 30, 2"):
            predictor.predict_frame(session, PointPrompt(1, 0, (3, 3)))


class TestPrompts:
    @pytest.mark.parametrize(
        ("prompt", "message"),
        [
            (PointPrompt(1, 10, (5, 5)), "frame 10: the movie has frames 0 to 9"),
            (PointPrompt(1, -1, (5, 5)), "frame -1"),
            (PointPrompt(1, 1.5, (5, 5)), "frame 1.5: both have to be whole numbers"),
            (PointPrompt(1, 0, (48, 5)), r"\(48, 5\) is outside the frame of 48 x 72 pixels"),
            (PointPrompt(1, 0, (5, -0.6)), r"\(5, -0.6\) is outside"),
            (PointPrompt(1, 0, (np.nan, 5)), r"\(nan, 5\) is outside"),
            (PointPrompt(1, 0, (np.inf, 5)), r"\(inf, 5\) is outside"),
            (PointPrompt(0, 0, (5, 5)), "object id 0 is below 1"),
            (PointPrompt(2**32, 0, (5, 5)), "object id 4294967296 is above 4294967295"),
            (BoxPrompt(1, 0, (60, 80, 70, 90)), "is outside the frame"),
            (BoxPrompt(1, 0, (20, 20, 10, 30)), "ends before it begins"),
            (MaskPrompt(1, 0, np.ones((72, 48))), r"shape \(72, 48\): frames are 48 x 72"),
        ],
    )
    def test_prompts_that_do_not_fit(self, predictor, movie, prompt, message):
        session = VideoSession.open(movie)
        predictor.predict_frame(session, PointPrompt(3, 0, (20, 30)))
        before = masks_of(session, 3)
        with pytest.raises(ValueError, match=message):
            predictor.predict_frame(session, prompt)
        assert session.prompts.object_ids() == (3,), "the bad prompt is not kept"
        assert same(masks_of(session, 3), before)

    @pytest.mark.parametrize("yx", [(-0.5, -0.5), (47.5, 71.5), (0, 71), (47, 0)])
    def test_points_on_the_very_border(self, any_view, movie, yx):
        session = whole_run(any_view, movie, PointPrompt(1, 0, yx))
        assert len(session.masklets.frames(1)) == 10

    @pytest.mark.parametrize(
        "prompt",
        [
            BoxPrompt(1, 3, (-20, -20, 500, 500)),
            BoxPrompt(1, 3, (5, 5, 5, 5)),
            MaskPrompt(1, 3, np.ones((48, 72), bool)),
            MaskPrompt(1, 3, np.zeros((48, 72), bool)),
            PointPrompt(1, 3, (20, 30), positive=False),
        ],
        ids=["box over the edge", "box of a pixel", "full mask", "empty mask", "negative click"],
    )
    def test_odd_prompts_simply_work(self, any_view, movie, prompt):
        session = whole_run(any_view, movie, prompt)
        assert session.masklets.frames(1) == tuple(range(10))

    def test_an_object_without_prompts(self, predictor, movie):
        session = VideoSession.open(movie)
        with pytest.raises(ValueError, match="no object has a prompt; add a click"):
            next(predictor.propagate(session))
        session.add(PointPrompt(1, 0, (20, 30)))
        with pytest.raises(ValueError, match="object 2 has no prompts; add one, or choose among 1"):
            next(predictor.propagate(session, PropagateOptions(objects=(1, 2))))
        with pytest.raises(ValueError, match="object 2 has no prompts on frame 5; add one"):
            predictor.predict_frame(session, object_id=2, frame=5)

    @pytest.mark.parametrize(
        ("ask", "message"),
        [
            ({"points_yx": [1, 2, 3]}, r"points of shape \(3,\); give \(P, 2\)"),
            ({"points_yx": np.zeros((2, 3))}, r"points of shape \(2, 3\)"),
            ({"points_yx": [(99, 5)]}, "outside the frame"),
            ({"points_yx": []}, "no prompt"),
            ({"points_yx": [(5, 5)], "positive": [True, False]}, "1 points but 2 signs"),
            (
                {"points_yx": [(5, 5)], "mask_logits": np.zeros((5, 5))},
                r"mask_logits have the shape \(5, 5\) and not \(16, 16\)",
            ),
        ],
    )
    def test_prompts_of_an_image(self, small_model, cpu, movie, ask, message):
        predictor = ImagePredictor(small_model, cpu)
        predictor.set_image(movie[0])
        with pytest.raises(ValueError, match=message):
            predictor.predict(**ask)


class TestOptions:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: PropagateOptions(direction="up"), "'up'; choose one of 'forward', 'backward'"),
            (lambda: PropagateOptions(start=-1), "start is -1; give a number from 0"),
            (
                lambda: PredictorOptions(view="half"),
                "view is 'half'; choose one of 'auto', 'whole'",
            ),
            (lambda: PredictorOptions(view_extent=-1), "view_extent is -1; give .* 1.5 to 20"),
            (lambda: PredictorOptions(view_margin=np.nan), "view_margin is nan; give a number"),
            (lambda: PredictorOptions(rows=0), "rows is 0; give a number from 1"),
        ],
    )
    def test_values_out_of_bounds(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    @pytest.mark.parametrize("bounds", [(0, 99), (7, 3), (12, 13)])
    def test_ranges_outside_the_movie(self, predictor, movie, bounds):
        session = VideoSession.open(movie)
        session.add(PointPrompt(1, 0, (20, 30)))
        options = PropagateOptions(start=bounds[0], stop=bounds[1])
        with pytest.raises(ValueError, match=f"frames {bounds[0]} to {bounds[1]} .* 0 to 9"):
            next(predictor.propagate(session, options))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there():
    with pytest.raises(RuntimeError, match=r"'cuda' was asked for.*use device='cpu'"):
        Runtime.auto("cuda")


def test_weights_that_are_none(tmp_path):
    path = tmp_path / "download.pt"
    path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(
        ValueError, match=r"download\.pt cannot be read .22 bytes.: it is truncated"
    ):
        load_model(path)


class Unlucky(ArrayFrames):
    """A movie in which something happens once, the first time that a frame is read."""

    def __init__(self, movie, frame, accident):
        super().__init__(movie)
        self.frame = frame
        self.accident = accident

    def read(self, t):
        if t == self.frame and self.accident is not None:
            accident, self.accident = self.accident, None
            accident()
        return super().read(t)


def no_disk():
    raise OSError(5, "Input/output error")


PROMPTS = (PointPrompt(1, 0, (20, 30)), PointPrompt(2, 0, (15, 50)))


class TestInterrupts:
    """What was computed stays, and going on gives what one undisturbed run gives."""

    def finish(self, predictor, movie, session):
        rest = [r.frame for r in predictor.propagate(session, PropagateOptions(resume=True))]
        reference = whole_run(predictor, movie, *PROMPTS)
        assert any(mask.any() for mask in masks_of(reference).values())
        for object_id in (1, 2):
            assert same(masks_of(session, object_id), masks_of(reference, object_id))
        return rest

    def begin(self, source):
        session = VideoSession.open(source)
        for prompt in PROMPTS:
            session.add(prompt)
        return session

    def test_closing_the_generator(self, any_view, movie):
        session = self.begin(movie)
        run = any_view.propagate(session)
        for _ in range(4):
            next(run)
        run.close()
        assert session.masklets.frames(1) == (0, 1, 2, 3)
        assert self.finish(any_view, movie, session) == [4, 5, 6, 7, 8, 9]

    def test_a_disk_that_fails(self, any_view, movie):
        session = self.begin(Unlucky(movie, 6, None))
        session.frames.accident = no_disk
        run = any_view.propagate(session)
        assert [next(run).frame for _ in range(6)] == [0, 1, 2, 3, 4, 5]
        with pytest.raises(OSError, match="Input/output error"):
            next(run)
        assert session.masklets.frames(2) == (0, 1, 2, 3, 4, 5)
        assert self.finish(any_view, movie, session) == [6, 7, 8, 9]

    def test_control_c(self, any_view, movie, request):
        """The signal arrives while the network is at work on some frame before the fifth."""

        def press():
            signal.raise_signal(signal.SIGINT)

        # A shell starts background jobs with the signal ignored; so may a test runner.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
        session = self.begin(Unlucky(movie, 5, None))
        session.frames.accident = press
        with pytest.raises(KeyboardInterrupt):
            list(any_view.propagate(session))
        kept = session.masklets.frames(1)
        assert kept == tuple(range(len(kept)))
        assert 1 <= len(kept) <= 6
        self.finish(any_view, movie, session)
        assert session.masklets.frames(1) == tuple(range(10))

    def test_an_interrupt_while_masks_are_written(self, any_view, movie):
        class Fragile(MaskletSet):
            writes = 0

            def write(self, object_id, frame, record):
                self.writes += 1
                if self.writes == 7:
                    raise KeyboardInterrupt
                super().write(object_id, frame, record)

        session = self.begin(movie)
        session.masklets = Fragile(movie.shape)
        with pytest.raises(KeyboardInterrupt):
            list(any_view.propagate(session))
        assert session.masklets.frames(1) == (0, 1, 2)
        assert 3 in self.finish(any_view, movie, session)

    def test_a_consumer_that_fails(self, any_view, movie):
        session = self.begin(movie)
        with pytest.raises(ZeroDivisionError):
            _ = [1 / (4 - result.frame) for result in any_view.propagate(session)]
        assert session.masklets.frames(1) == (0, 1, 2, 3, 4)
        assert self.finish(any_view, movie, session) == [5, 6, 7, 8, 9]

    def test_a_click_that_fails_leaves_the_prompt_to_be_answered_later(self, predictor, movie):
        session = VideoSession.open(Unlucky(movie, 3, None))
        session.frames.accident = no_disk
        with pytest.raises(OSError, match="Input/output error"):
            predictor.predict_frame(session, PointPrompt(1, 3, (20, 30)))
        result = predictor.predict_frame(session, object_id=1, frame=3)
        assert result.objects[0].record == session.masklets.record(1, 3)
