"""All benchmarks, one table each: ``make bench``, or ``python -m tests.benchmarks NAMES``."""

from __future__ import annotations

import argparse

from rich.console import Console
from tests.benchmarks.report import circumstances


def main() -> None:
    """Run the benchmarks that the command line names, all by default."""
    names = ("bundled", "resident", "correction", "reference")
    on_screen = ("click",)
    extra = (*on_screen, "replay")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        help=f"of {', '.join((*names, *extra))}; all by default but {' and '.join(extra)}, "
        "which need a display and a movie of the Cell Tracking Challenge",
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side; the best counts")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--device", default="cpu", help="of bundled and reference: cpu or cuda")
    options = parser.parse_args()
    chosen = options.names or names
    if unknown := set(chosen) - {*names, *extra}:
        parser.error(
            f"unknown benchmark {', '.join(sorted(unknown))}: choose of {(*names, *extra)}"
        )
    console = Console(width=100)
    console.print(circumstances(options.device))
    if "bundled" in chosen:
        from tests.benchmarks import bench_bundled

        console.print(bench_bundled.run(options.rounds, options.device))
    if "resident" in chosen:
        from tests.benchmarks import bench_resident

        console.print(*bench_resident.run())
    if "correction" in chosen:
        from tests.benchmarks import bench_correction

        console.print(bench_correction.run(options.rounds))
    if "click" in chosen:
        from tests.benchmarks import bench_click

        console.print(bench_click.run(options.rounds))
    if "replay" in chosen:
        from tests.benchmarks import bench_replay

        console.print(*bench_replay.run())
    if "reference" in chosen:
        from tests.benchmarks import bench_reference

        console.print(bench_reference.run(options.rounds, tuple(options.objects), options.device))
    console.print(circumstances(options.device))


if __name__ == "__main__":
    main()
