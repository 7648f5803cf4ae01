"""Time one move of what a fine-tuning teaches: our Muon beside PyTorch's.

    python -m tests.benchmarks.bench_optimiser

The two take turns, one thread; the fastest of the rounds counts. PyTorch's computes in bfloat16,
ours in what the processor multiplies natively.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from tests.benchmarks.report import circumstances, seconds

from napari_sam2.model.checkpoint import load_model
from napari_sam2.training.finetune_learner import Learner
from napari_sam2.training.finetune_options import FineTuneOptions
from napari_sam2.training.muon import Muon

ROUNDS = 3


def main() -> None:
    torch.set_num_threads(1)
    model = Learner.of(load_model(), FineTuneOptions()).model
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() == 2]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    groups = [{"params": matrices, "lr": 1e-4}]
    sides = {
        "ours": Muon(groups),
        "PyTorch's": torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw"),
    }
    rounds = [{name: timed(side.step) for name, side in sides.items()} for _ in range(ROUNDS)]
    print(circumstances())
    for name in sides:
        fastest = min(taken[name] for taken in rounds)
        print(f"{name}: {seconds(fastest)} for {len(matrices)} matrices")


def timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
