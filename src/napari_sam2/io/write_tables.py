"""Measurements as tables: one row an object and frame, and beside it one row a track."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from napari_sam2.io.extras import needs
from napari_sam2.io.measurements import (
    intensity_names,
    intensity_of,
    place_names,
    place_of,
    shape_names,
    shape_of,
)
from napari_sam2.io.track_summary import TrackSummaries, summary_names
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import refuse_overwrite, writing_whole
from napari_sam2.masklets import MaskletSet
from napari_sam2.tracking.regions import Region

__all__ = ["track_table_path", "write_csv", "write_parquet"]

_ROWS_AT_ONCE = 20_000

Row = dict[str, Any]
Watch = Callable[[int, int], None]


class _Table(Protocol):
    def add(self, rows: list[Row]) -> None:
        """Write rows."""

    def close(self) -> None:
        """Write what is left."""


def track_table_path(path: Path) -> Path:
    """Return where the table of tracks lies: ``cells_tracks.csv`` beside ``cells.csv``."""
    return path.with_name(f"{path.stem}_tracks{path.suffix}")


def write_csv(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Watch = lambda done, total: None,
) -> list[str]:
    """Write measurements as two CSV files; what is not known is empty.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
    path : str or Path
        One row an object and frame; one row a track goes beside it, see `track_table_path`.
    overwrite : bool
        Whether to replace older tables.
    watch : callable
        Called with frames done and frames in all.

    Returns
    -------
    list of str
        What could not be measured.

    Raises
    ------
    FileExistsError
        If there is a table and `overwrite` is off.
    OSError
        If the disk is full.
    """
    return _write(TrackedObjects.of(objects), Path(path), _CsvTable, overwrite, watch)


def write_parquet(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Watch = lambda done, total: None,
) -> list[str]:
    """Write measurements as two Parquet files; as `write_csv` otherwise."""
    needs("pyarrow", "Parquet")
    return _write(TrackedObjects.of(objects), Path(path), _ParquetTable, overwrite, watch)


def _write(
    objects: TrackedObjects,
    path: Path,
    kind: Callable[[Path, list[str]], _Table],
    overwrite: bool,
    watch: Watch,
) -> list[str]:
    other = track_table_path(path)
    refuse_overwrite(other, overwrite=overwrite)
    channels = _channels(objects)
    tracks = TrackSummaries(objects)
    with (
        writing_whole(path, overwrite=overwrite) as whole,
        writing_whole(other, overwrite=overwrite) as whole_other,
        ExitStack() as closing,
    ):
        table = kind(whole, frame_names(objects, channels))
        closing.callback(table.close)
        for time, rows in enumerate(_frames(objects, tracks)):
            table.add(rows)
            watch(time + 1, objects.num_times)
        summary = kind(whole_other, summary_names(objects))
        closing.callback(summary.close)
        summary.add(tracks.rows())
    if channels:
        return []
    return ["no intensities: the movie is not there; name it with --movie"]


def frame_names(objects: TrackedObjects, channels: int) -> list[str]:
    """Return the columns of the table of frames, in order."""
    scores = ["predicted_iou", "object_score", "prompted"] if objects.masks.has_scores else []
    return [
        "object_id",
        *place_names(objects.calibration, is_deep=objects.is_deep),
        *shape_names(is_deep=objects.is_deep),
        *intensity_names(channels),
        *scores,
        "parent",
        "division",
    ]


def _channels(objects: TrackedObjects) -> int:
    """Return the number of channels of the movie, 0 without one."""
    if objects.movie is None:
        return 0
    shape = objects.movie.shape
    return int(shape[3]) if len(shape) == 4 else 1


def _frames(objects: TrackedObjects, tracks: TrackSummaries) -> Iterator[list[Row]]:
    """Yield the rows of each time."""
    begun: set[int] = set()
    for time, regions in enumerate(objects.everywhere()):
        image = objects.image(time) if regions else None
        rows = []
        for region in regions:
            tracks.add(region)
            row = _measures(objects, region)
            if image is not None:
                row |= intensity_of(region, image)
            mother = objects.lineage.mother_of(region.object_id)
            is_born = mother is not None and region.object_id not in begun
            row |= {"parent": mother, "division": is_born}
            begun.add(region.object_id)
            rows.append(row)
        yield rows


def _measures(objects: TrackedObjects, region: Region) -> Row:
    row: Row = {"object_id": region.object_id}
    row |= place_of(region, objects.calibration, is_deep=objects.is_deep)
    row |= shape_of(region, objects.calibration, is_deep=objects.is_deep)
    row["t"], row["area"] = region.time, region.area
    if objects.masks.has_scores:
        iou, score, prompted = region.scores()
        row |= {"predicted_iou": iou, "object_score": score, "prompted": prompted}
    return row


class _CsvTable:
    """Rows as lines; numbers with eight digits, what is not known empty."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self._file = path.open("w", newline="")
        self._writer = csv.writer(self._file)
        self._names = names
        self._writer.writerow(names)

    def add(self, rows: list[Row]) -> None:
        """Write rows."""
        self._writer.writerows([_text(row[name]) for name in self._names] for row in rows)

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)


_INTEGERS = {
    "object_id", "t", "area", "parent", "root", "generation", "first_t", "last_t", "frames_seen",
    "gaps", "life_span",
}  # fmt: skip
_FLAGS = {"division", "prompted", "divides", "accepted"}
_TEXTS = {"name", "daughters"}


class _ParquetTable:
    """Rows in groups; what is not known is null."""

    def __init__(self, path: Path, names: list[str]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kinds = dict.fromkeys(_INTEGERS, pa.int64()) | dict.fromkeys(_FLAGS, pa.bool_())
        kinds |= dict.fromkeys(_TEXTS, pa.string())
        self._table = pa.Table
        self._schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in names])
        self._writer = parquet.ParquetWriter(path, self._schema)
        self._rows: list[Row] = []

    def add(self, rows: list[Row]) -> None:
        """Write rows, once there are enough for a group."""
        self._rows += rows
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
        self._rows = []
