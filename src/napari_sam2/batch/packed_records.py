"""Masks as JSON writes them, with every digit of their scores."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from napari_sam2.masklets import MaskRecord

__all__ = ["pack", "unpack"]


def pack(records: Mapping[int, MaskRecord]) -> dict[int, list[Any]]:
    """Return masks, by object or by frame, as plain lists."""
    return {
        i: [
            list(one.bbox), base64.b64encode(one.bits).decode(),
            one.predicted_iou, one.object_score, one.prompted,
        ]
        for i, one in records.items()
    }  # fmt: skip


def unpack(content: Mapping[str, list[Any]]) -> dict[int, MaskRecord]:
    """Read what `pack` made."""
    return {
        int(i): MaskRecord(tuple(bbox), base64.b64decode(bits), iou, score, prompted)
        for i, (bbox, bits, iou, score, prompted) in content.items()
    }
