"""Where a batch runs, declared once: a table of the jobs file, the command line, and a form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

__all__ = ["Cluster", "help_of", "read_cluster"]


def _about(text: str, least: int | None = None) -> dict[str, Any]:
    return {"help": text, "least": least}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to run on Dask; see `Cluster.is_here`.

    Raises
    ------
    ValueError
        If a number is too small, or blocks are asked for without workers.
    """

    workers: int | None = field(
        default=None,
        metadata=_about("Run so many movies at once on a local Dask cluster.", least=1),
    )
    scheduler: str | None = field(
        default=None,
        metadata=_about("Run on a Dask cluster: tcp://host:8786 or its JSON file."),
    )
    retries: int = field(
        default=1, metadata=_about("How often Dask tries a movie again that failed.", least=0)
    )
    block: int | None = field(
        default=None,
        metadata=_about("Frames of one task on Dask; the next, on any worker, goes on.", least=1),
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least = getattr(self, one.name), one.metadata["least"]
            if least is None or value is None:
                continue
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{one.name} is {value!r}: give a number from {least}")
        if self.block and self.is_here:
            raise ValueError(
                "--block divides work among workers: give --workers or --scheduler, too"
            )

    @property
    def is_here(self) -> bool:
        """Whether movies run in this process, one after the other, without Dask."""
        return not (self.workers or self.scheduler)

    def given(self) -> dict[str, Any]:
        """Return what differs from the defaults, by name."""
        values = asdict(self)
        return {
            one.name: values[one.name] for one in fields(self) if values[one.name] != one.default
        }


def help_of(name: str) -> str:
    """Return the help of an option."""
    return {one.name: str(one.metadata["help"]) for one in fields(Cluster)}[name]


def read_cluster(source: str | Path, given: Mapping[str, Any] | None = None) -> Cluster:
    """Read the table ``[cluster]`` of a jobs file, where there is one.

    Parameters
    ----------
    source : str or Path
        What `jobs_file.read_jobs` takes; only a TOML file may have the table.
    given : mapping, optional
        What goes before it, as a command line does; None is not given.

    Raises
    ------
    ValueError
        If the table has unknown names or wrong values.
    """
    path = Path(source).expanduser()
    table: Any = {}
    if path.suffix.lower() == ".toml" and path.is_file():
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get("cluster", {})
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is no valid TOML: {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f"{path}: cluster is {table!r}: write a table [cluster]")
    known = {one.name for one in fields(Cluster)}
    if strange := sorted(set(table) - known):
        raise ValueError(
            f"{path}, [cluster]: unknown {strange[0]!r}; use {', '.join(sorted(known))}"
        )
    said = {key: value for key, value in (given or {}).items() if value is not None}
    return Cluster(**{**table, **said})
