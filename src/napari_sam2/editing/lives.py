"""Mothers that end where their daughters begin, of divisions that did not come from an edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_sam2.editing.document import Document

__all__ = ["end_mothers"]


def end_mothers(document: Document, begins: Mapping[int, int]) -> None:
    """Limit the lives of mothers and daughters, so that no later run follows them beyond.

    Parameters
    ----------
    document : Document
        Knows who is whose daughter.
    begins : mapping of int to int
        Daughter to the first frame that she is seen on; others are left as they are.

    Notes
    -----
    A life that is limited more narrowly already stays so. Masks outside it stay, too.
    """
    for daughter, mother in document.lineage.items():
        if daughter not in begins:
            continue
        start = document.grid.start(begins[daughter])
        own, above = document.info(daughter), document.info(mother)
        first = start if own.first is None else own.first
        last = start - 1 if above.last is None else min(above.last, start - 1)
        document.objects[daughter] = replace(own, first=first)
        document.objects[mother] = replace(above, last=last)
