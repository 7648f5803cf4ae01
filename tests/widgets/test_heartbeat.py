"""The window is not held up by the network, on a movie of the size that people bring."""

from __future__ import annotations

import numpy as np
import pytest

LONGEST = 0.1
"""Seconds that the window may be held up."""


def test_the_window_is_never_blocked_while_frames_are_encoded_and_tracked(
    open_dock, synthetic, qtbot, heart, tmp_path, trained_network, middle_of
):
    frames = np.tile(synthetic.images, (1, 11, 11))[:, :1024, :1024]
    movie = np.take(frames, np.arange(100) % len(frames), axis=0)
    viewer, widget = open_dock(movie, network=trained_network)
    # Without a graphics card each pixel of the canvas is drawn by this thread.
    viewer.window._qt_window.resize(900, 600)
    controller = widget.controller
    controller.sessions.save_as(tmp_path / "large.sam2")
    qtbot.wait(500)
    y, x = middle_of()
    # Once, so that the software renderer has compiled its shaders and napari has made its layers.
    click_and_track(widget, qtbot, (0, y + 480, x + 480), 2)
    qtbot.wait(1000)
    longest = []
    for start, scrub in ((30, (60, 12, 90)), (50, (70, 22, 95)), (72, (99, 40, 5))):
        longest.append(
            click_and_track(widget, qtbot, (start, y + 480, x + 480), start + 16, heart, scrub)
        )
        assert set(range(start, start + 17)) <= set(controller.layers.masklets.frames(1))
        # One of three may be the machine's: drawing without a graphics card, a full collection.
        if sum(max(one) < LONGEST for one in longest) == 2:
            return
    pytest.fail(f"the window was held up while encoding and while tracking: {longest} seconds")


def click_and_track(widget, qtbot, point, stop, heart=None, scrub=()) -> tuple[float, float]:
    """Click, wait for the answer, track; return how long the window was held up in either."""
    controller, viewer = widget.controller, widget.controller._viewer
    answers, steps = [], []
    controller.events.status_changed.connect(lambda status: answers.append(status.text))
    controller.events.progressed.connect(lambda progress: steps.append(progress.done))
    viewer.dims.set_point(0, point[0])
    beats = heart() if heart else None
    controller.layers.points.add(point)
    qtbot.waitUntil(lambda: any(text.startswith("Object") for text in answers), timeout=60_000)
    if beats:
        beats.stop()
    more = heart() if heart else None
    controller.propagate("forward", start=point[0], stop=stop)
    qtbot.waitUntil(lambda: len(steps) >= 2, timeout=60_000)
    for frame in scrub:
        viewer.dims.set_point(0, frame)
        qtbot.wait(50)
    qtbot.waitUntil(lambda: controller.run_state == "idle", timeout=120_000)
    if more:
        more.stop()
    return (beats.longest, more.longest) if beats and more else (0.0, 0.0)
