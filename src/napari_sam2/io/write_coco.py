"""Masks as COCO run lengths: every object keeps all its pixels, also where masks overlap."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2.io.extras import needs
from napari_sam2.io.tracked_objects import TrackedObjects
from napari_sam2.io.writing import writing_text
from napari_sam2.masklets import MaskletSet

__all__ = ["write_coco"]


def write_coco(
    objects: TrackedObjects | MaskletSet,
    path: str | Path,
    *,
    overwrite: bool = False,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write masks as COCO instance annotations, one image a plane.

    Parameters
    ----------
    objects : TrackedObjects or MaskletSet
    path : str or Path
        The JSON file; it is written as it grows.
    overwrite : bool
        Whether to replace an older file.
    watch : callable
        Called with frames done and frames in all.

    Returns
    -------
    list of str
        Nothing: the format holds every mask.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    OSError
        If the disk is full.
    """
    needs("pycocotools", "COCO")
    objects = TrackedObjects.of(objects)
    head = {
        "info": {"description": f"{objects.name}: objects tracked with napari-sam2"},
        "videos": [{"id": 1, "name": objects.name, "length": objects.num_times}],
        "categories": [{"id": 1, "name": "object", "supercategory": "object"}],
    }
    with writing_text(path, overwrite=overwrite) as file:
        file.write(json.dumps(head)[:-1] + ', "images": [')
        for number in range(objects.masks.shape[0]):
            file.write(",\n" * (number > 0) + json.dumps(_image(objects, number)))
        file.write('], "annotations": [')
        comma = "\n"
        for entry in _annotations(objects, watch):
            file.write(comma + json.dumps(entry))
            comma = ",\n"
        file.write("]}\n")
    return []


def _image(objects: TrackedObjects, plane: int) -> dict[str, Any]:
    time, z = objects.planes.place(plane)
    place = f"t{time:05d}" + f"_z{z:04d}" * objects.is_deep
    _, height, width = objects.masks.shape
    return {
        "id": plane + 1,
        "file_name": f"{objects.name}_{place}",
        "width": width,
        "height": height,
        "video_id": 1,
        "frame_id": time,
        "z": z,
    }


def _annotations(
    objects: TrackedObjects, watch: Callable[[int, int], None]
) -> Iterator[dict[str, Any]]:
    from pycocotools import mask as coco

    number = 0
    size = objects.masks.shape[1:]
    for plane in range(objects.masks.shape[0]):
        for object_id, record in sorted(objects.masks.on(plane).items()):
            number += 1
            runs = coco.encode(np.asfortranarray(record.mask(size).astype(np.uint8)))
            entry = {
                "id": number,
                "image_id": plane + 1,
                "category_id": 1,
                "segmentation": {"size": list(size), "counts": runs["counts"].decode("ascii")},
                "area": record.area,
                "bbox": [float(value) for value in coco.toBbox(runs)],
                "iscrowd": 0,
                "track_id": object_id,
                "parent_id": objects.lineage.mother_of(object_id),
            }
            if objects.masks.has_scores:
                entry |= {"score": record.predicted_iou, "object_score": record.object_score}
            yield entry
        watch(objects.planes.place(plane)[0] + 1, objects.num_times)
