"""What the README and the examples show runs as it stands, with the network in the package."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_sam2.training.synthetic import dividing_cells

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_snippet_runs_and_follows_the_cell(repository, tmp_path, monkeypatch, capsys):
    (snippet,) = BLOCK.findall((repository / "README.md").read_text())
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 11
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})
    assert "frame 11:" in capsys.readouterr().out
    check_followed(tifffile.imread("cells.tif"), snippet)


def check_followed(labels, snippet):
    """The object that was clicked has the mask of the cell under the click."""
    truth = dividing_cells(frames=12).labels
    y, x = map(int, re.search(r"yx=\((\d+), (\d+)\)", snippet).groups())
    cell = truth == truth[0, y, x]
    assert truth[0, y, x] > 0
    overlap = [np.sum(a & b) / np.sum(a | b) for a, b in zip(labels == 1, cell, strict=True)]
    assert np.mean(overlap) > 0.6


def test_the_example_goes_from_a_file_to_files(repository, tmp_path):
    movie = dividing_cells(frames=6)
    tifffile.imwrite(tmp_path / "movie.tif", movie.images)
    y, x = (int(value) for value in np.argwhere(movie.labels[0])[0])
    line = [repository / "examples" / "track_headless.py", tmp_path / "movie.tif", tmp_path / "out"]
    subprocess.run([sys.executable, *map(str, [*line, 0, y, x])], check=True, cwd=tmp_path)
    assert tifffile.imread(tmp_path / "out" / "labels.tif").shape == movie.images.shape
    assert (tmp_path / "out" / "tracks.csv").is_file()


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/fine-tuning.md",
        "docs/formats.md",
        "docs/synthetic.md",
        "docs/tutorial.md",
    ],
)
def test_every_command_shown_exists(repository, page):
    from typer.main import get_command

    from napari_sam2.cli.app import app

    known = get_command(app)
    shown = re.findall(r"^napari-sam2 (.+)$", (repository / page).read_text(), re.MULTILINE)
    for line in shown:
        words = line.split("#")[0].split()
        command = known.commands[words[0]]
        if hasattr(command, "commands"):
            command = command.commands[words[1]]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/architecture.md",
        "docs/fine-tuning.md",
        "docs/formats.md",
        "docs/tutorial.md",
    ],
)
def test_every_link_and_named_file_is_there(repository, page):
    text = (repository / page).read_text()
    folder = (repository / page).parent
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (folder / target).exists(), target
    for named in re.findall(r"`((?:model|predictor|io|tracking|widgets|training)/\w+\.py)`", text):
        assert (repository / "src" / "napari_sam2" / named).is_file(), named


def test_the_keys_of_the_tutorial_are_those_of_the_widget(repository):
    from napari_sam2.widgets.keys import KEYS

    text = (repository / "docs" / "tutorial.md").read_text()
    table = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    shown = {key for cell in table[2:] for key in cell.split(" and ")}
    assert shown == {key.key for key in KEYS.values()}
