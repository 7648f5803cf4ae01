"""The command ``napari-sam2``: parse, call, say. Heavy imports happen inside the commands."""

from napari_sam2.cli.app import main

__all__ = ["main"]
