"""``napari-sam2 models``: which networks there are, fetch one, check what is on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_sam2.cli.console import downloading, say

__all__ = ["models"]

models = typer.Typer(no_args_is_help=True, help="The networks: list, fetch, check.")

Name = Annotated[str, typer.Argument(help="A name that `napari-sam2 models list` shows.")]


@models.command("list")
def list_models() -> None:
    """List the networks, their licences and sizes, and which are on this machine."""
    from napari_sam2.model.checkpoint import available_models, models_folder

    say(f"{'name':18}{'MB':>6}  {'licence':14}on this machine")
    for name, file in available_models().items():
        path = file.path()
        size = path.stat().st_size if path.is_file() else file.size
        megabytes = f"{size / 1e6:.0f}" if size else "-"
        if file.place is not None:
            place = f"trained here: {path}"
        elif file.url is None:
            place = "in the package" if path.is_file() else "not in this package"
        else:
            place = str(path) if path.is_file() else "no"
        say(f"{name:18}{megabytes:>6}  {file.license:14}{place}")
    say(f"fetched networks lie in {models_folder()}")


@models.command()
def fetch(name: Name) -> None:
    """Fetch a network and verify its hash; what broke off is gone on with."""
    from napari_sam2.model import checkpoint

    with downloading(name) as progress:
        task = progress.add_task("", total=None)
        path = checkpoint.fetch(
            name, lambda done, size: progress.update(task, completed=done, total=size)
        )
    say(f"{name} is complete: {path}")


@models.command()
def check(
    name: Annotated[
        str | None, typer.Argument(help="One network; all that are here if none.")
    ] = None,
) -> None:
    """Check that networks on this machine are whole and the right ones."""
    from napari_sam2.model import checkpoint

    if name is not None:
        say(f"{name} is whole: {checkpoint.check(name)}")
        return
    for known, file in checkpoint.available_models().items():
        if file.path().is_file():
            say(f"{known} is whole: {checkpoint.check(known)}")
