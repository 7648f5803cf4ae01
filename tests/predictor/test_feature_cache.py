"""The feature cache: its limit, its order, its threads."""

from __future__ import annotations

import threading

import pytest
import torch

from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.predictor.feature_cache import FeatureCache
from napari_sam2.predictor.transforms import View

WHOLE = View.whole((64, 64), (64, 64))
CORNER = View(0, 0, 32, 32, (64, 64), (64, 64))


def features(value=0.0, cells=4):
    return ImageFeatures(
        torch.full((1, 8, cells, cells), float(value)),
        torch.zeros(1, 2, 2 * cells, 2 * cells),
        torch.zeros(1, 1, 4 * cells, 4 * cells),
    )


SIZE = features().num_bytes


def test_the_least_recently_used_goes_first():
    cache = FeatureCache(2 * SIZE)
    cache.put((0, WHOLE), features(0))
    cache.put((1, WHOLE), features(1))
    assert cache.get((0, WHOLE)).embedding[0, 0, 0, 0] == 0
    cache.put((2, WHOLE), features(2))
    assert [(t, WHOLE) in cache for t in range(3)] == [True, False, True]
    assert cache.get((1, WHOLE)) is None
    assert (len(cache), cache.bytes) == (2, 2 * SIZE)


def test_views_of_one_frame_are_kept_apart():
    cache = FeatureCache(10 * SIZE)
    cache.put((3, WHOLE), features(1))
    cache.put((3, CORNER), features(2))
    assert cache.get((3, WHOLE)).embedding.mean() == 1
    assert cache.get((3, CORNER)).embedding.mean() == 2
    # An equal view is the same key, whoever made it.
    assert cache.get((3, View.whole((64, 64), (64, 64)))) is cache.get((3, WHOLE))


def test_replacing_does_not_count_twice():
    cache = FeatureCache(10 * SIZE)
    for _ in range(3):
        cache.put((0, WHOLE), features())
    assert cache.bytes == SIZE


def test_what_is_too_large_is_not_kept():
    cache = FeatureCache(SIZE)
    cache.put((0, WHOLE), features())
    cache.put((1, WHOLE), features(cells=16))
    assert (0, WHOLE) in cache
    assert (1, WHOLE) not in cache
    nothing = FeatureCache(0)
    nothing.put((0, WHOLE), features())
    assert nothing.bytes == 0


def test_clear():
    cache = FeatureCache(10 * SIZE)
    cache.put((0, WHOLE), features())
    cache.clear()
    assert (len(cache), cache.bytes, cache.get((0, WHOLE))) == (0, 0, None)


def test_a_long_movie_stays_below_the_limit():
    cache = FeatureCache(5 * SIZE)
    for t in range(500):
        cache.put((t, WHOLE), features())
        assert cache.bytes <= 5 * SIZE
    assert [t for t in range(500) if (t, WHOLE) in cache] == list(range(495, 500))


def test_many_threads_at_once():
    cache = FeatureCache(8 * SIZE)
    one = features()
    failures = []

    def work(first):
        try:
            for i in range(500):
                cache.put(((first + i) % 20, WHOLE), one)
                cache.get((i % 20, WHOLE))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert cache.bytes == len(cache) * SIZE == 8 * SIZE


def test_negative_limit():
    with pytest.raises(ValueError, match="-1 bytes"):
        FeatureCache(-1)
