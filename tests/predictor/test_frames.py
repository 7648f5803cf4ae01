"""Frame sources, the intensity mapping and reading ahead."""

from __future__ import annotations

import threading
import time

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2.predictor.frames import ArrayFrames, FrameSource, IntensityMapping, Prefetcher

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", ">u2", ">f4"]


def as_zarr(array, chunks):
    store = zarr.create_array(zarr.storage.MemoryStore(), data=array, chunks=chunks)
    return store


MAKERS = {
    "numpy": lambda array, chunks: array,
    "dask": lambda array, chunks: da.from_array(array, chunks=chunks),
    "zarr": as_zarr,
    "dask on zarr": lambda array, chunks: da.from_zarr(as_zarr(array, chunks)),
}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS.keys())
def make(request):
    return request.param


def random_movie(shape, dtype="uint16", seed=0):
    return np.random.default_rng(seed).integers(0, 2, shape).astype(dtype)


class TestEverySource:
    """What holds for frames of any kind of array."""

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_values_and_types(self, make, dtype):
        movie = random_movie((3, 20, 30), dtype)
        source = ArrayFrames(make(movie, (1, 20, 30)))
        assert isinstance(source, FrameSource)
        assert (source.shape, source.num_channels, len(source)) == ((3, 20, 30), 1, 3)
        for t in range(3):
            frame = source.read(t)
            assert isinstance(frame, np.ndarray)
            np.testing.assert_array_equal(frame, movie[t])
            rgb = IntensityMapping.from_limits(0, 1).apply(frame)
            assert (rgb.dtype, rgb.shape) == (np.float32, (20, 30, 3))
            np.testing.assert_array_equal(rgb[..., 1], movie[t].astype(np.float32))

    def test_channels_come_last(self, make):
        movie = random_movie((3, 20, 30, 2))
        source = ArrayFrames(make(movie, (1, 20, 30, 2)))
        assert (source.shape, source.num_channels) == ((3, 20, 30), 2)
        np.testing.assert_array_equal(source.read(1), movie[1])

    def test_one_picture(self, make):
        picture = random_movie((20, 30))
        source = ArrayFrames(make(picture, (20, 30)))
        assert source.shape == (1, 20, 30)
        np.testing.assert_array_equal(source.read(0), picture)

    @pytest.mark.parametrize("axes", ["CTYX", "TCYX", "YXTC", "XYCT"])
    def test_any_order_of_axes(self, make, axes):
        movie = random_movie((3, 20, 30, 2))  # T, Y, X, C
        turned = movie.transpose(["TYXC".index(axis) for axis in axes])
        source = ArrayFrames(make(np.ascontiguousarray(turned), turned.shape), axes)
        assert (source.shape, source.num_channels) == ((3, 20, 30), 2)
        np.testing.assert_array_equal(source.read(2), movie[2])

    @pytest.mark.parametrize("t", [-1, 3])
    def test_no_such_frame(self, make, t):
        source = ArrayFrames(make(random_movie((3, 8, 9)), (1, 8, 9)))
        with pytest.raises(ValueError, match=f"frame {t} is outside .* 0 to 2"):
            source.read(t)

    def test_read_ahead_gives_the_same(self, make):
        movie = random_movie((6, 8, 9))
        with Prefetcher(ArrayFrames(make(movie, (1, 8, 9)))) as frames:
            frames.plan(range(5, -1, -1))
            for t in range(5, -1, -1):
                np.testing.assert_array_equal(frames.read(t), movie[t])


def test_only_the_frame_asked_for_is_computed():
    computed = []

    def frame(block_info=None):
        t = block_info[None]["chunk-location"][0]
        computed.append(t)
        return np.full((1, 8, 9), t % 256, np.uint8)

    chunks = ((1,) * 1000, (8,), (9,))
    movie = da.map_blocks(frame, chunks=chunks, dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8))
    source = ArrayFrames(movie)
    assert computed == []
    assert (source.read(700) == 700 % 256).all()
    assert computed == [700]


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("ZYX", (3, 20, 30), (3, 20, 30)),
        ("TZYX", (3, 1, 20, 30), (3, 20, 30)),
        ("TZYX", (1, 3, 20, 30), (3, 20, 30)),
        ("TPCYXS", (3, 1, 2, 20, 30, 1), (3, 20, 30)),
        ("tyx", (3, 20, 30), (3, 20, 30)),
    ],
)
def test_stacks_and_axes_of_length_one(axes, shape, expected):
    movie = random_movie(shape)
    source = ArrayFrames(movie, axes)
    assert source.shape == expected
    np.testing.assert_array_equal(
        source.read(2).ravel().sum(), np.take(movie, 2, shape.index(3)).sum()
    )


def test_a_colour_picture_is_one_frame():
    source = ArrayFrames(np.zeros((40, 50, 3), np.uint8))
    assert (source.shape, source.num_channels) == ((1, 40, 50), 3)


@pytest.mark.parametrize(
    ("array", "axes", "message"),
    [
        (np.zeros((0, 8, 9)), None, r"empty: its shape is \(0, 8, 9\)"),
        (np.zeros(7), None, "holds no pictures"),
        (np.zeros((5, 8, 9), complex), None, "complex128: convert"),
        (np.array([["a", "b"]]), None, "<U1: convert"),
        (np.zeros((5, 8, 9), object), None, "object: convert"),
        (np.zeros((5, 2, 20, 30)), None, "30 channels.*axes='TCYX'"),
        (np.zeros((5, 2, 3, 20, 30)), None, "5 axes"),
        (np.zeros((5, 8, 9)), "TYXC", r"'TYXC' do not describe .*\(5, 8, 9\)"),
        (np.zeros((5, 8, 9)), "TXX", "one different letter"),
        (np.zeros((5, 8, 9)), "TCX", "Y and X among them"),
        (np.zeros((5, 4, 3, 8, 9)), "TSCYX", "axis C .* length 3 .* choose one position"),
        (np.zeros((5, 4, 8, 9)), "PTYX", "axis P .* length 5"),
    ],
)
def test_errors_name_the_value(array, axes, message):
    with pytest.raises(ValueError, match=message):
        ArrayFrames(array, axes)


class SlowFrames(ArrayFrames):
    """Counts reads and takes its time."""

    def __init__(self, length):
        super().__init__(
            np.arange(length, dtype=np.uint16)[:, None, None] * np.ones((1, 4, 4), "u2")
        )
        self.reads = []
        self.threads = set()

    def read(self, t):
        self.reads.append(t)
        self.threads.add(threading.get_ident())
        time.sleep(0.02)
        return super().read(t)


def wait_for(condition, seconds=20):
    """Wait on a thread that may be slow on a busy machine."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


class TestPrefetcher:
    def test_next_frames_are_there_when_they_are_asked_for(self):
        source = SlowFrames(10)
        with Prefetcher(source, ahead=2) as frames:
            frames.plan([3, 4, 5, 6])
            frames.read(3)
            wait_for(lambda: len(source.reads) == 3)
            assert source.reads == [3, 4, 5]
            assert frames.read(4)[0, 0] == 4
            assert source.reads.count(4) == 1

    def test_every_frame_is_read_once_and_on_one_thread(self):
        source = SlowFrames(12)
        with Prefetcher(source, ahead=3) as frames:
            frames.plan(range(12))
            values = [int(frames.read(t)[0, 0]) for t in range(12)]
        assert values == list(range(12))
        assert sorted(source.reads) == list(range(12))
        assert len(source.threads) == 1
        assert threading.get_ident() not in source.threads

    def test_few_frames_are_held(self):
        source = SlowFrames(50)
        with Prefetcher(source, ahead=2) as frames:
            frames.plan(range(50))
            frames.read(0)
            wait_for(lambda: len(source.reads) == 3)
            # Time enough for further reads, if there were any to come.
            time.sleep(0.1)
            assert source.reads == [0, 1, 2]

    def test_unplanned_frames_are_read_too(self):
        with Prefetcher(SlowFrames(10)) as frames:
            frames.plan([1, 2, 3])
            assert frames.read(8)[0, 0] == 8
            assert frames.read(2)[0, 0] == 2
            assert (frames.shape, frames.num_channels, len(frames)) == ((10, 4, 4), 1, 10)
            assert isinstance(frames, FrameSource)

    def test_an_error_comes_with_the_frame_that_caused_it(self):
        class Broken(SlowFrames):
            def read(self, t):
                if t == 2:
                    raise OSError("the disk is gone")
                return super().read(t)

        with Prefetcher(Broken(5)) as frames:
            frames.plan(range(5))
            assert frames.read(0)[0, 0] == 0
            assert frames.read(1)[0, 0] == 1
            with pytest.raises(OSError, match="the disk is gone"):
                frames.read(2)
            assert frames.read(3)[0, 0] == 3

    def test_the_thread_ends(self):
        frames = Prefetcher(SlowFrames(10))
        frames.plan(range(10))
        frames.close()
        names = {thread.name for thread in threading.enumerate()}
        assert not any(name.startswith("napari-sam2-frames") for name in names)

    def test_negative_look_ahead(self):
        with pytest.raises(ValueError, match="-1 frames"):
            Prefetcher(SlowFrames(2), ahead=-1)
