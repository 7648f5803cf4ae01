"""Points, boxes, ranges and channels as text."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.cli.arguments import collect_prompts, parse_channels, parse_frames
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt


def test_points_and_boxes_without_an_object_are_objects_of_their_own():
    given = collect_prompts(["0,3,4", "2,5.5,6,1", "1,7,8"], ["4,1,2,3,4"])
    assert given == [
        PointPrompt(2, 0, (3.0, 4.0)),
        PointPrompt(1, 2, (5.5, 6.0)),
        PointPrompt(3, 1, (7.0, 8.0)),
        BoxPrompt(4, 4, (1.0, 2.0, 3.0, 4.0)),
    ]


def test_signs_and_objects_are_read():
    given = collect_prompts(["0, 3, 4, 7, -", "0,3,4,7,+"], ["0,1,2,3,4,7"])
    assert given == [
        PointPrompt(7, 0, (3.0, 4.0), positive=False),
        PointPrompt(7, 0, (3.0, 4.0)),
        BoxPrompt(7, 0, (1.0, 2.0, 3.0, 4.0)),
    ]


def test_ids_of_a_file_are_taken():
    mask = MaskPrompt(1, 0, np.ones((3, 3), bool))
    given = collect_prompts(["0,1,1"], [], [mask, PointPrompt(2, 0, (0, 0))])
    assert [prompt.object_id for prompt in given] == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    ["", "1", "1,2", "a,2,3", "1.5,2,3", "1,2,y", "1,2,3,0", "1,2,3,x", "1,2,3,4,*", "1,2,3,4,-,5"],
)
def test_a_text_that_is_no_point_is_named(text):
    with pytest.raises(ValueError, match=r"--point .* is not T,Y,X"):
        collect_prompts([text], [])


@pytest.mark.parametrize("text", ["", "0,1,2,3", "0,1,2,3,z", "0,1,2,3,4,-1", "0,1,2,3,4,5,6"])
def test_a_text_that_is_no_box_is_named(text):
    with pytest.raises(ValueError, match=r"--box .* is not T,Y0,X0,Y1,X1"):
        collect_prompts([], [text])


def test_no_prompt_at_all_is_refused():
    with pytest.raises(ValueError, match="no prompt is given"):
        collect_prompts([], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, None)),
        ("3:9", (3, 9)),
        ("3:", (3, None)),
        (":9", (None, 9)),
        (":", (None, None)),
    ],
)
def test_frame_ranges(text, expected):
    assert parse_frames(text) == expected


@pytest.mark.parametrize("text", ["", "5", "a:b", "1:2:3", "1.5:2"])
def test_a_text_that_is_no_range_is_named(text):
    with pytest.raises(ValueError, match="no range"):
        parse_frames(text)


def test_channels():
    assert parse_channels(None) is None
    assert parse_channels("2") == (2, 2, 2)
    assert parse_channels("2,0,1") == (2, 0, 1)
    for text in ("", "1,2", "red", "0,1,2,3"):
        with pytest.raises(ValueError, match="neither one channel nor three"):
            parse_channels(text)
