"""In stacks an object may grow and shrink from slice to slice, but not from time to time."""

from __future__ import annotations

import numpy as np

from napari_sam2.masklets import MaskletSet, MaskRecord
from napari_sam2.planes import PlaneGrid
from napari_sam2.tracking.measures import MeasureTable
from napari_sam2.tracking.quality import quality_from
from napari_sam2.tracking.stack_quality import stack_quality

GRID = PlaneGrid(4, 5)


def measured(radii: dict[int, tuple[int, ...]], x: dict[int, int]):
    """Measure a ball whose slices have these radii, at these places, by time."""
    masklets = MaskletSet((len(GRID), 64, 64))
    rows, columns = np.indices((64, 64))
    for time, by_slice in radii.items():
        for z, radius in enumerate(by_slice):
            disc = (rows - 32) ** 2 + (columns - x[time]) ** 2 < radius**2
            record = MaskRecord.from_mask(disc, predicted_iou=0.95, object_score=6.0)
            masklets.write(1, GRID.plane(time, z), record)
    table = MeasureTable(masklets)
    table.measure_all()
    return table.of(1)


def test_depth_is_no_doubt() -> None:
    ball = dict.fromkeys(range(4), (0, 5, 10, 5, 0))
    measures = measured(ball, {0: 30, 1: 31, 2: 32, 3: 33})
    assert quality_from(measures).doubtful, "slice by slice it would be"
    assert stack_quality(measures, GRID).doubtful == ()


def test_a_change_in_time_is_shown_where_the_object_is_largest() -> None:
    radii = dict.fromkeys(range(4), (0, 5, 10, 5, 0)) | {2: (0, 0, 4, 6, 4)}
    quality = stack_quality(measured(radii, {0: 20, 1: 20, 2: 40, 3: 40}), GRID)
    assert quality.stops == (GRID.plane(2, 3), GRID.plane(3, 2))
    assert "area changes" in quality.reason(GRID.plane(3, 2))
    assert quality.doubts["centroid_jump"][GRID.plane(2, 3)] > 0.5
