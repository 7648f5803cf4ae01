"""Prompts from and to files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.io.prompts_file import read_prompts, write_prompts
from napari_sam2.prompts import BoxPrompt, MaskPrompt, PointPrompt

LABELS = np.zeros((12, 16), np.uint16)
LABELS[1:4, 2:6] = 3
LABELS[7:11, 9:15] = 300


def example():
    return [
        PointPrompt(1, 0, (3.5, 4.0)),
        PointPrompt(1, 0, (8.0, 4.25), positive=False),
        BoxPrompt(2, 5, (1.0, 2.0, 9.5, 12.0)),
        MaskPrompt(3, 5, LABELS == 3),
        MaskPrompt(4, 6, np.ones((5, 4), bool)),
        MaskPrompt(4, 7, np.zeros((5, 4), bool)),
    ]


def test_json_keeps_every_prompt(tmp_path):
    assert read_prompts(write_prompts(tmp_path / "prompts.json", example())) == example()


def test_json_is_plain_and_one_prompt_a_line(tmp_path):
    path = write_prompts(tmp_path / "prompts.json", example())
    content = json.loads(path.read_text())
    assert content["prompts"][0] == {"object_id": 1, "t": 0, "y": 3.5, "x": 4.0, "positive": True}
    assert content["prompts"][2]["box"] == [1.0, 2.0, 9.5, 12.0]
    assert len(path.read_text().splitlines()) == len(example()) + 2


def test_json_may_be_a_bare_list(tmp_path):
    (tmp_path / "p.json").write_text('[{"object_id": 2, "t": 1, "y": 3, "x": 4}]')
    assert read_prompts(tmp_path / "p.json") == [PointPrompt(2, 1, (3.0, 4.0))]


def test_csv_with_points_and_boxes(tmp_path):
    (tmp_path / "p.csv").write_text(
        "object_id, t, y, x, positive, y1, x1\n"
        "1,0,3.5,4,true,,\n"
        "1,0,8,4.25,0,,\n"
        "2,5,1,2,,9.5,12\n"
        "7,2,6,6\n"
    )
    assert read_prompts(tmp_path / "p.csv") == [*example()[:3], PointPrompt(7, 2, (6.0, 6.0))]


@pytest.mark.parametrize("name", ["labels.tif", "labels.png"])
def test_a_label_image_named_in_a_file(tmp_path, name):
    Image.fromarray(LABELS).save(tmp_path / name)
    (tmp_path / "p.csv").write_text(f"object_id,t,mask\n,4,{name}\n300,6,{name}\n")
    assert read_prompts(tmp_path / "p.csv") == [
        MaskPrompt(3, 4, LABELS == 3),
        MaskPrompt(300, 4, LABELS == 300),
        MaskPrompt(300, 6, LABELS == 300),
    ]


def test_a_label_stack_prompts_each_object_where_it_appears(tmp_path):
    stack = np.stack([LABELS * (LABELS == 300), LABELS, LABELS])
    tifffile.imwrite(tmp_path / "labels.tif", stack, photometric="minisblack")
    assert read_prompts(tmp_path / "labels.tif") == [
        MaskPrompt(300, 0, LABELS == 300),
        MaskPrompt(3, 1, LABELS == 3),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "object_id,t,y,x\n1,0,3,4\n1,zero,3,4\n", "line 3.*zero"),
        ("p.csv", "object_id,t,y,x\n1,0,3,\n", "line 2: 'x' is missing"),
        ("p.csv", "object_id,t,y,x\n,0,3,4\n", "line 2: 'object_id' is missing"),
        ("p.csv", "object_id,t,y,x,positive\n1,0,3,4,maybe\n", "line 2: positive is 'maybe'"),
        ("p.csv", "object_id,t,y,x,y1,x1\n1,0,3,4,9,\n", "line 2"),
        ("p.csv", "object_id,t,y,x\n0,0,3,4\n", "line 2: object_id 0"),
        ("p.csv", "id,frame\n1,2\n", "line 1: the columns"),
        ("p.csv", "", "line 1: the columns"),
        ("p.json", '[{"object_id": 1,\n "t": 0,, }]', "line 2: no valid JSON"),
        ("p.json", '{"points": []}', "no list of prompts"),
        ("p.json", "[3]", "prompt 1: 3"),
        ("p.json", '[{"object_id": 1, "t": 0, "box": [1, 2, 3]}]', "prompt 1"),
        ("p.json", '[{"object_id": 1, "t": 0, "y": null, "x": 2}]', "prompt 1"),
        (
            "p.json",
            '[{"object_id": 1, "t": 0, "mask": {"shape": [2, 2], "runs": [1, 2]}}]',
            "prompt 1: the runs .* make 3 pixels",
        ),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_prompts(tmp_path / name)


def test_a_missing_file_and_a_missing_label_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json does not exist"):
        read_prompts(tmp_path / "none.json")
    tifffile.imwrite(tmp_path / "labels.tif", LABELS)
    (tmp_path / "p.json").write_text('[{"object_id": 9, "t": 0, "mask": "labels.tif"}]')
    with pytest.raises(ValueError, match=r"no label 9; it has \[3, 300\]"):
        read_prompts(tmp_path / "p.json")


def test_an_older_file_is_kept(tmp_path):
    write_prompts(tmp_path / "prompts.json", example())
    with pytest.raises(FileExistsError, match=r"prompts\.json exists"):
        write_prompts(tmp_path / "prompts.json", [])


def test_a_chosen_mask_is_read_back(tmp_path):
    prompts = [PointPrompt(1, 0, (4.0, 5.0), candidate=2), PointPrompt(2, 0, (4.0, 5.0))]
    path = write_prompts(tmp_path / "prompts.json", prompts)
    assert read_prompts(path) == prompts
    assert path.read_text().count("candidate") == 1
