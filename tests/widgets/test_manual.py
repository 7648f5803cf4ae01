"""The manual and the widget say the same."""

from __future__ import annotations

import re

from napari_sam2.widgets.keys import KEYS, tip


def test_the_manual_lists_every_key_as_it_is(repository):
    text = (repository / "docs" / "widget.md").read_text()
    for key in KEYS.values():
        assert f"| {key.key} | {key.text} | `{key.code}` |" in text


def test_the_pictures_of_the_manual_are_there_and_small(repository):
    page = repository / "docs" / "widget.md"
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", page.read_text())
    assert len(pictures) >= 3
    for picture in pictures:
        assert 10_000 < (page.parent / picture).stat().st_size < 300_000


def test_tool_tips_name_the_key_and_the_line_of_python():
    assert tip("new") == "New object (N)\nsam2.new_object()"
    assert tip("new", "More.") == "New object (N)\nMore.\nsam2.new_object()"
