"""``python -m napari_sam2``: the same as the command ``napari-sam2``."""

from __future__ import annotations

from napari_sam2.cli import main

if __name__ == "__main__":
    main()
