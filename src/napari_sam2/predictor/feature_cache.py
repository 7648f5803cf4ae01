"""Image features that are kept: the next click, or the next pass, looks at the frame again."""

from __future__ import annotations

import threading
from collections import OrderedDict

from napari_sam2.model.outputs import ImageFeatures
from napari_sam2.predictor.transforms import View

__all__ = ["FeatureCache"]

Key = tuple[int, View]


class FeatureCache:
    """Keeps image features by frame and view, the most recently used ones, up to a number of bytes.

    It may be used from several threads at once.

    Parameters
    ----------
    max_bytes : int
        Upper limit of what is kept; 0 keeps nothing. Features larger than this are not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        _check_limit(max_bytes)
        self.max_bytes = max_bytes
        self._features: OrderedDict[Key, ImageFeatures] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Bytes that the kept features take."""
        return self._bytes

    def get(self, key: Key) -> ImageFeatures | None:
        """Return the features of ``(frame, view)`` and mark them as used, or None."""
        with self._lock:
            if key in self._features:
                self._features.move_to_end(key)
            return self._features.get(key)

    def put(self, key: Key, features: ImageFeatures) -> None:
        """Keep features, and let go of those that were not used for the longest time."""
        size = features.num_bytes
        with self._lock:
            self._drop(key)
            if size > self.max_bytes:
                return
            self._features[key] = features
            self._bytes += size
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._features)))

    def resize(self, max_bytes: int) -> None:
        """Keep at most so many bytes from now on, and let go of what is too much.

        Raises
        ------
        ValueError
            If the number is negative.
        """
        _check_limit(max_bytes)
        with self._lock:
            self.max_bytes = max_bytes
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._features)))

    def clear(self) -> None:
        """Let go of everything, as when the intensity mapping has changed."""
        with self._lock:
            self._features.clear()
            self._bytes = 0

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._features

    def __len__(self) -> int:
        with self._lock:
            return len(self._features)

    def _drop(self, key: Key) -> None:
        features = self._features.pop(key, None)
        if features is not None:
            self._bytes -= features.num_bytes


def _check_limit(max_bytes: int) -> None:
    if max_bytes < 0:
        raise ValueError(f"a cache cannot hold {max_bytes} bytes: give 0 or more")
