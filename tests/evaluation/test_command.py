"""The command line of the evaluation."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from napari_sam2.evaluation.__main__ import evaluate

app = typer.Typer()
app.command()(evaluate)


def test_absent_data_is_named_with_the_remedy(tmp_path):
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--sets", "nowhere"])
    assert result.exit_code == 2
    assert "nowhere is not there" in result.output
    assert "--data" in result.output


def test_unknown_truth_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--truth", "silver"])
    assert result.exit_code == 2
    assert "choose labels or gold" in result.output.replace("\n", " ")
