"""Record the reference's results on the small networks: ``make parity-record``.

Run in the peers' environment. The files only change when the seeded weights, the scenario or
the reference does.
"""

from __future__ import annotations

import sys

from tests.parity import recorded, runs, verbs
from tests.parity.networks import PRESENCE_BIAS, RECORDED_SIZE, SMALL
from tests.parity.reference import build_reference, float_memory, quiet


def main() -> None:
    """Write one file of verbs and one of the run for each version."""
    total = 0
    for version, config in SMALL.items():
        reference = build_reference(config, RECORDED_SIZE, PRESENCE_BIAS)
        with quiet(), float_memory():
            sets = {
                f"verbs-{version}": verbs.theirs(reference, config),
                f"run-{version}": runs.their_run(reference),
            }
        for name, tensors in sets.items():
            path = recorded.save(name, tensors)
            total += path.stat().st_size
            sys.stdout.write(f"{path}: {len(tensors)} tensors, {path.stat().st_size:,} bytes\n")
    sys.stdout.write(f"{total:,} bytes in all\n")


if __name__ == "__main__":
    main()
