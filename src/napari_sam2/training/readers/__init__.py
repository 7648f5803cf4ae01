"""Readers of what users have annotated, each giving `LabelledMovie`."""

from napari_sam2.training.readers.entry import DataEntry, read_entry

__all__ = ["DataEntry", "read_entry"]
