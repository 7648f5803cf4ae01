"""Lists of jobs: a TOML or CSV file, a folder of movies, or a pattern of their names.

TOML has one table ``[[jobs]]`` a movie and, if wanted, ``[defaults]`` for all of them and
``[cluster]`` that says where they run (see `cluster_options`); CSV has one row a movie with the
same names as columns. Paths start from the folder of the file. In a folder each movie is a job
whose prompts lie beside it: for ``cells.tif`` the first of ``cells.sam2``, ``cells.prompts.json``,
``cells.prompts.csv``, ``cells.labels.tif`` and ``cells.labels.zarr``.
"""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from glob import glob
from pathlib import Path
from typing import Any

from napari_sam2.batch.cluster_options import Cluster
from napari_sam2.batch.job_spec import SEEDS, JobSpec
from napari_sam2.io.writing import writing_whole

__all__ = ["read_jobs", "write_jobs"]

_MOVIES = (".tif", ".tiff", ".btf", ".lsm", ".npy", ".zarr")
_BESIDE = (
    (".sam2", "session"),
    (".prompts.json", "prompts"),
    (".prompts.csv", "prompts"),
    (".labels.tif", "labels"),
    (".labels.zarr", "labels"),
)


def read_jobs(
    source: str | Path,
    common: Mapping[str, Any] | None = None,
    seeds: Mapping[str, Any] | None = None,
) -> list[JobSpec]:
    """Read a list of jobs; nothing that it names is looked at.

    Parameters
    ----------
    source : str or Path
        A ``.toml`` or ``.csv`` file, a folder, or a pattern such as ``"day1/*.tif"``.
    common : mapping, optional
        Values for jobs that do not give them, by the names of `JobSpec`.
    seeds : mapping, optional
        Prompts, labels or automatic, for jobs that have none of these and no session.

    Returns
    -------
    list of JobSpec

    Raises
    ------
    FileNotFoundError
        If there is nothing at `source`.
    ValueError
        If it holds no job, or one cannot be read; the message names it.
    """
    where = Path(source).expanduser()
    given = {key: value for key, value in (common or {}).items() if value not in (None, "", ())}
    if "out" in given:
        given["out"] = str(Path(given["out"]).expanduser().absolute())
    if where.is_dir() and where.suffix not in (".zarr", ".sam2"):
        rows = list(_of_movies(sorted(where.iterdir())))
    elif set("*?[") & set(str(where)) and not where.exists():
        # pathlib globs below a folder only; a pattern may have its first star anywhere.
        rows = list(_of_movies(sorted(map(Path, glob(str(where))))))  # noqa: PTH207
    elif where.suffix.lower() in (".toml", ".csv"):
        if not where.is_file():
            raise FileNotFoundError(f"{where} does not exist: check the path of the jobs")
        read = _of_toml if where.suffix.lower() == ".toml" else _of_csv
        rows = list(read(where))
    else:
        raise ValueError(
            f"{where} is no list of jobs: give a TOML or CSV file, a folder of movies, or a "
            "quoted pattern such as 'day1/*.tif'"
        )
    if not rows:
        raise ValueError(f"{where} holds no job: no movie was found")
    base = where.absolute().parent if where.is_file() else Path.cwd()
    rest = {key: value for key, value in (seeds or {}).items() if value}
    return [
        _parsed({**given, **({} if set(row) & set(SEEDS) else rest), **row}, base, where, place)
        for place, row in rows
    ]


def write_jobs(
    path: str | Path,
    jobs: Iterable[JobSpec],
    cluster: Cluster | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write jobs as TOML, one table a movie, and where they run.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is off.
    """
    path = Path(path)
    given = {} if cluster is None else cluster.given()
    tables = [_table("[cluster]", given)] if given else []
    for job in jobs:
        values = {one.name: (getattr(job, one.name), one.default) for one in fields(job)}
        said = {key: value for key, (value, usual) in values.items() if value != usual}
        tables.append(_table("[[jobs]]", said))
    with writing_whole(path, overwrite=overwrite) as unfinished:
        unfinished.write_text("\n".join(tables), encoding="utf-8")
    return path


def _table(head: str, values: Mapping[str, Any]) -> str:
    # TOML writes text, numbers, lists and booleans as JSON does.
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return "\n".join([head, *(f"{key} = {json.dumps(v)}" for key, v in plain.items())]) + "\n"


Row = tuple[str, dict[str, Any]]


def _of_toml(path: Path) -> Iterator[Row]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no valid TOML: {error}") from error
    defaults = content.get("defaults", {})
    jobs = content.get("jobs", [])
    strange = sorted(set(content) - {"defaults", "jobs", "cluster"})
    if strange or not isinstance(jobs, list) or not isinstance(defaults, dict):
        raise ValueError(
            f"{path} has {strange or 'no list of jobs'}: write [defaults], [cluster] and [[jobs]]"
        )
    for number, job in enumerate(jobs, start=1):
        yield f"job {number}", {**defaults, **job}


def _of_csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        for row in reader:
            if None in row:
                raise ValueError(f"{path}, line {reader.line_num}: more values than columns")
            given = {key.strip(): value.strip() for key, value in row.items() if value}
            if given:
                yield f"line {reader.line_num}", given


def _of_movies(found: Iterable[Path]) -> Iterator[Row]:
    """Yield a job for each movie, and for each session whose movie is not among them."""
    paths = list(found)
    endings = tuple(ending for ending, _ in _BESIDE)
    movies = [
        path for path in paths if path.suffix.lower() in _MOVIES and not path.name.endswith(endings)
    ]
    for path in movies:
        row: dict[str, Any] = {"movie": str(path)}
        beside = ((path.parent / (_stem(path) + end), kind) for end, kind in _BESIDE)
        there = [(place, kind) for place, kind in beside if place.exists()]
        if there:
            place, kind = there[0]
            row[kind] = str(place)
        yield path.name, row
    names = {_stem(path) for path in movies}
    for path in paths:
        if path.suffix == ".sam2" and path.stem not in names:
            yield path.name, {"session": str(path)}


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".ome.tiff", ".ome.tif", ".ome.zarr"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def _parsed(row: Mapping[str, Any], folder: Path, source: Path, place: str) -> JobSpec:
    try:
        return JobSpec.parse(row, folder)
    except ValueError as error:
        raise ValueError(f"{source}, {place}: {error}") from error
