"""What an edit of prompts changes in the document, and what it is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from napari_sam2.editing.change import Change
from napari_sam2.prompts import BoxPrompt, PointPrompt, Prompt

if TYPE_CHECKING:
    from napari_sam2.planes import PlaneGrid
    from napari_sam2.prompts import PromptStore


def change_prompts(
    store: PromptStore, title: str, gone: Sequence[Prompt], come: Sequence[Prompt]
) -> Change:
    """Remove and add prompts; return the change that this was."""
    places = dict.fromkeys((one.object_id, one.frame) for one in (*gone, *come))
    before = {place: store.on(*place) for place in places}
    for prompt in gone:
        if prompt in store.on(prompt.object_id, prompt.frame):
            store.remove(prompt)
    for prompt in come:
        store.add(prompt)
    groups = {place: (old, store.on(*place)) for place, old in before.items()}
    # Joined to an empty change: places where nothing differs drop out.
    return Change(title).then(Change(title, prompts=groups))


def edit_title(gone: Sequence[Prompt], come: Sequence[Prompt], grid: PlaneGrid) -> str:
    """Name an edit of prompts for the undo button."""
    prompts = come or gone
    if not prompts:
        return "prompt"
    kind = {PointPrompt: "click", BoxPrompt: "box"}.get(type(prompts[0]), "prompt")
    what = "" if come and not gone else "move " if come else "delete "
    return f"{what}{kind} on object {prompts[0].object_id}, {grid.name(prompts[0].frame)}"


def older_boxes(prompts: Iterable[Prompt], box: BoxPrompt) -> list[BoxPrompt]:
    """Return the boxes that a new one on the same frame replaces."""
    place = box.object_id, box.frame
    return [
        one
        for one in prompts
        if isinstance(one, BoxPrompt) and one != box and (one.object_id, one.frame) == place
    ]
