"""Where points of a frame lie in the masks of a view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_sam2.predictor.transforms import View

__all__ = ["mask_places"]


def mask_places(points: NDArray[np.float64], view: View, logits: Tensor) -> NDArray[np.float64]:
    """Return where points of the frame lie in a mask of a view.

    Parameters
    ----------
    points : ndarray, (P, 2)
        (y, x) in pixels of the frame.
    view : View
    logits : Tensor, (..., h, w)
        The mask.

    Returns
    -------
    ndarray, (P, 2)
        (row, column) in cells of the mask, their upper left corners being whole numbers; clipped
        to the mask.
    """
    size = np.array(logits.shape[-2:])
    yx = view.to_input_xy(points).numpy()[:, ::-1]
    return ((yx + 0.5) * size / np.array(view.input_size)).clip(0, np.nextafter(size, 0.0))
