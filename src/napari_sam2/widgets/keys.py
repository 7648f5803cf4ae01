"""The keys, each with what it does and the line of Python that does the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.utils.key_bindings import coerce_keybinding

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sam2.widgets.controller import SegmentationController


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes
    ----------
    key : str
        As napari writes it.
    text : str
        What it does, for tool tips and the manual.
    code : str
        The same in Python, where ``sam2`` is the dock's ``controller``.
    action : callable
        Does it.
    """

    key: str
    text: str
    code: str
    action: Callable[[SegmentationController], object]


def _pause_or_resume(controller: SegmentationController) -> None:
    """Hold a run, or let it go on."""
    if controller.run_state == "running":
        controller.pause()
    else:
        controller.resume()


KEYS: dict[str, Key] = {
    "new": Key("N", "New object", "sam2.new_object()", lambda c: c.new_object()),
    "previous": Key(
        ",", "Previous object", "sam2.objects.previous()", lambda c: c.objects.previous()
    ),
    "next": Key(".", "Next object", "sam2.objects.next()", lambda c: c.objects.next()),
    "sign": Key(
        "T",
        "Exchange positive and negative clicks",
        "sam2.objects.toggle_sign()",
        lambda c: c.objects.toggle_sign(),
    ),
    "candidate": Key(
        "C",
        "Choose the next of the three masks that one click offers",
        "sam2.candidates.next()",
        lambda c: c.prompting.candidates.next(),
    ),
    "find": Key(
        "Shift+N",
        "Find the objects that are not there yet",
        "sam2.finding.find()",
        lambda c: c.prompting.finding.find(),
    ),
    "clear": Key(
        "Shift+X",
        "Take back prompts and mask of this object on this frame",
        "sam2.clear_frame()",
        lambda c: c.clear_frame(),
    ),
    "absent": Key(
        "H",
        "Say that this object is not on this frame, hidden or gone",
        "sam2.edits.mark_absent(1)",
        lambda c: c.edits.mark_absent(c.objects.current),
    ),
    "delete": Key(
        "Shift+D",
        "Delete this object from every frame",
        "sam2.delete_object()",
        lambda c: c.delete_object(),
    ),
    "doubtful": Key(
        "J",
        "Go to the next doubtful frame of this object",
        "sam2.review.next_doubtful()",
        lambda c: c.review.next_doubtful(),
    ),
    "doubtful of any": Key(
        "Shift+J",
        "Go to the next doubtful frame of any object in work",
        "sam2.review.next_doubtful(of_any=True)",
        lambda c: c.review.next_doubtful(of_any=True),
    ),
    "accept": Key(
        "K",
        "Accept this object, or take it back into work",
        "sam2.review.accept()",
        lambda c: c.review.accept(),
    ),
    "lock": Key(
        "Shift+K",
        "Lock this object, or unlock it",
        "sam2.review.lock()",
        lambda c: c.review.lock(),
    ),
    "undo": Key("Control-Z", "Take back the last change", "sam2.undo()", lambda c: c.undo()),
    "redo": Key("Control-Shift-Z", "Do it again", "sam2.redo()", lambda c: c.redo()),
    "both": Key(
        "G", "Track forward and backward", 'sam2.propagate("both")', lambda c: c.propagate("both")
    ),
    "start": Key(
        "Shift+I",
        "Let runs begin on the frame that is shown",
        "sam2.frames.start_at(20)",
        lambda c: c.frames.start_at(c.shown_place),
    ),
    "stop": Key(
        "Shift+O",
        "Let runs end on the frame that is shown",
        "sam2.frames.stop_at(40)",
        lambda c: c.frames.stop_at(c.shown_place),
    ),
    "follow_up": Key(
        "Shift+F",
        "Follow up corrections now",
        "sam2.following.apply()",
        lambda c: c.following.apply(),
    ),
    "divide": Key(
        "D",
        "Divide the object in work: the next two clicks are its daughters",
        "sam2.divisions.begin()",
        lambda c: c.divisions.begin(),
    ),
    "proposal": Key(
        "Shift+B",
        "Go to the next proposed division",
        "sam2.divisions.go_to_next()",
        lambda c: c.divisions.go_to_next(),
    ),
    "accept_division": Key(
        "Enter",
        "Accept the proposed division",
        "sam2.divisions.accept()",
        lambda c: c.divisions.accept(),
    ),
    "dismiss_division": Key(
        "Shift+Enter",
        "Dismiss the proposed division",
        "sam2.divisions.dismiss()",
        lambda c: c.divisions.dismiss(),
    ),
    "pause": Key(
        "Shift+P", "Pause the run, or go on", "sam2.pause(); sam2.resume()", _pause_or_resume
    ),
    "cancel": Key(
        "Shift+G", "Cancel the run and keep what is done", "sam2.cancel()", lambda c: c.cancel()
    ),
}
"""By the names that panels use."""


def tip(name: str, more: str = "") -> str:
    """Return the tool tip of an action: what it does, its key and its line of Python."""
    key = KEYS[name]
    lines = [f"{key.text} ({key.key})", more, key.code]
    return "\n".join(line for line in lines if line)


def bind(
    viewer: ViewerModel, controller: SegmentationController, **instead: Callable[[], object]
) -> None:
    """Bind every key to the viewer; `instead` replaces actions that need a panel's settings."""
    for name, key in KEYS.items():
        viewer.bind_key(key.key, _callback(key, controller, instead.get(name)), overwrite=True)


def unbind(viewer: ViewerModel) -> None:
    """Give the keys back."""
    for key in KEYS.values():
        viewer.keymap.pop(coerce_keybinding(key.key), None)


def _callback(
    key: Key, controller: SegmentationController, instead: Callable[[], object] | None
) -> Callable[[Any], None]:
    """Return what napari calls with the viewer."""

    def press(_viewer: Any) -> None:
        if instead is None:
            key.action(controller)
        else:
            instead()

    return press
