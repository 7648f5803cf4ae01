"""Running one job for a command: progress, report, exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from napari_sam2.cli.console import run_with_progress, say_report

if TYPE_CHECKING:
    from napari_sam2.batch.job import Job

__all__ = ["INTERRUPTED", "run_and_report"]

INTERRUPTED = 130
"""Exit status after an interrupt from the keyboard, as shells have it."""


def run_and_report(job: Job) -> None:
    """Run a job, say what it did, and end the command if it was interrupted."""
    report = run_with_progress(job)
    say_report(report)
    if not report.is_complete:
        raise typer.Exit(INTERRUPTED)
