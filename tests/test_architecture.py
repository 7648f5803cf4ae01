"""The shape of the code, kept by tools: layers, imports, sizes, the wheel, the public names."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest

import napari_sam2

WINDOW = ("napari", "qtpy", "magicgui", "superqt", "PyQt5", "PyQt6", "PySide6", "vispy")


def modules_after(statement):
    """Return the names of the top-level modules that a statement loads in a fresh interpreter."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_imports_go_down_the_layers(repository):
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()",
         "--no-cache"],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout


def test_nothing_headless_loads_a_window():
    names = napari_sam2.__all__
    statement = (
        f"from napari_sam2 import {', '.join(names)}\n"
        "import napari_sam2.cli, napari_sam2.demo, napari_sam2.batch.job\n"
        "import napari_sam2.evaluation.run, napari_sam2.training.synthetic"
    )
    assert not modules_after(statement) & set(WINDOW)


@pytest.mark.parametrize(
    "statement",
    [
        "import napari_sam2",
        "from napari_sam2 import PointPrompt, BoxPrompt, MaskPrompt",
        "import napari_sam2.masklets, napari_sam2.prompts",
        "import napari_sam2.tracking.tracks, napari_sam2.tracking.lineage",
        "import napari_sam2.io.read, napari_sam2.io.label_stack, napari_sam2.io.tracks, "
        "napari_sam2.io.prompts_file, napari_sam2.io.contact_sheet",
        "import napari_sam2.cli",
    ],
)
def test_what_needs_no_network_loads_no_torch(statement):
    loaded = modules_after(statement)
    assert not loaded & {"torch", "safetensors", *WINDOW}


def test_the_public_names_are_few_and_there():
    assert len(napari_sam2.__all__) <= 8
    assert sorted(napari_sam2.__all__) == napari_sam2.__all__
    for name in napari_sam2.__all__:
        assert getattr(napari_sam2, name).__module__.startswith("napari_sam2.")
    assert set(napari_sam2.__all__) <= set(dir(napari_sam2))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = napari_sam2.nothing_like_it


def sources(repository):
    return sorted((repository / "src" / "napari_sam2").rglob("*.py"))


def test_files_and_functions_stay_small(repository):
    large = []
    for path in sources(repository):
        text = path.read_text()
        if text.count("\n") > 400:
            large.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = code_lines(node)
                if length > 60:
                    large.append(f"{path.name}: {node.name} has {length} lines")
    assert large == []


def code_lines(function):
    """Return the lines of a function without its docstring and signature."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_every_library_that_is_imported_is_declared(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {*project["dependencies"], *(line for lines in extras.values() for line in lines)}
    declared = {re.split(r"[\[><=~ ]", line)[0].replace("-", "_") for line in named}
    homes = {"PIL": "pillow", "skimage": "scikit_image"}
    imported = {
        name.partition(".")[0]
        for path in sources(repository)
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported_names(node)
    }
    foreign = imported - set(sys.stdlib_module_names) - {"napari_sam2"}
    assert {homes.get(name, name) for name in foreign} <= declared


def imported_names(node):
    """Return the modules that a node of a syntax tree imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_no_module_has_a_name_that_says_nothing(repository):
    empty = {"utils", "util", "helpers", "misc", "common", "manager", "handler", "process"}
    assert [path.name for path in sources(repository) if path.stem in empty] == []


@pytest.mark.slow
def test_the_wheel_has_manifest_and_weights(repository, tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        manifest = archive.read("napari_sam2/napari.yaml").decode()
        metadata = next(name for name in names if name.endswith("METADATA"))
        described = archive.read(metadata).decode()
    assert manifest.startswith("name: napari-sam2")
    assert "napari_sam2/model/weights/bundled.safetensors" in names
    assert "napari_sam2/py.typed" in names
    assert not any(name.startswith(("tests/", "docs/")) for name in names)
    required = [line for line in described.splitlines() if line.startswith("Requires-Dist")]
    hard = [line for line in required if "extra ==" not in line]
    assert not any(word in " ".join(hard).lower() for word in ("qt", "napari[", "pyside"))
    assert any(line.startswith("Requires-Dist: torch") for line in hard)


def test_the_manifest_at_the_top_is_the_packaged_one(repository):
    top = repository / "napari.yaml"
    assert top.is_symlink()
    assert top.resolve() == repository / "src" / "napari_sam2" / "napari.yaml"


def test_the_manifest_is_valid_and_its_commands_exist():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("napari-sam2")
    manifest.validate_imports()
    assert manifest.contributions.widgets
    assert manifest.contributions.sample_data
