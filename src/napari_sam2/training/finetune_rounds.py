"""Rounds: the same lesson from its start, with other windows, for as long as there is time.

What a few masks teach depends much on chance, and teaching them longer makes it no better. So a run
of many minutes learns several times, and the result is the mean of the weights, which depends less
on chance (Wortsman et al., "Model soups", ICML 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_sam2.training.finetune_options import FineTuneOptions

__all__ = ["Rounds", "has_time", "steps_of_a_round"]

#: Steps that few masks are good for, however few.
_LEAST_STEPS = 200
#: Part of a round for which there has to be time, to begin one; less of it has learned nothing yet.
_LEAST_PART = 0.5


@dataclass
class Rounds:
    """Where a run stands among its rounds.

    Attributes
    ----------
    finished : int
        Rounds that have come to their end.
    first_step : int
        Step at which the present one began.
    began : float
        Seconds that had been spent by then.
    is_resting : bool
        Whether a round has ended and no other one begun.
    learned : dict of str to Tensor, or None
        Mean of the parameters that the finished rounds led to, by name.
    """

    finished: int = 0
    first_step: int = 0
    began: float = 0.0
    is_resting: bool = False
    learned: dict[str, Tensor] | None = None

    def end(self, weights: dict[str, Tensor]) -> None:
        """Take in what a round has learned."""
        self.learned = self.with_another(weights)
        self.finished += 1
        self.is_resting = True

    def begin(self, step: int, elapsed: float) -> None:
        """Start a round from the network that the run began with."""
        self.first_step, self.began, self.is_resting = step, elapsed, False

    def with_another(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean of what was learned so far and of one more round."""
        if self.learned is None:
            return {name: value.clone() for name, value in weights.items()}
        share = 1.0 / (self.finished + 1)
        return {n: torch.lerp(self.learned[n].to(one), one, share) for n, one in weights.items()}

    def so_far(self, weights: dict[str, Tensor], done: float) -> dict[str, Tensor]:
        """Return what was learned so far, with the present round if enough of it is over."""
        if self.learned is None:
            return weights
        if self.is_resting or done < _LEAST_PART:
            return self.learned
        return self.with_another(weights)

    def done(self, step: int, elapsed: float, steps: float, budget: float) -> float:
        """Return the part of the present round that is over: all of it when the time is spent.

        Parameters
        ----------
        step : int
            Steps of the whole run.
        elapsed : float
            Its seconds.
        steps : float
            Length of a round.
        budget : float
            Seconds of the run.
        """
        if self.is_resting or elapsed >= budget:
            return 1.0
        spent = (elapsed - self.began) / (budget - self.began)
        return min(1.0, max(spent, (step - self.first_step) / steps))


def steps_of_a_round(options: FineTuneOptions, masks: int) -> float:
    """Return the length of a round; 0 where the run is one.

    Adapters have only one: the mean of two products is no product of means.
    """
    is_timed = options.minutes > 0 and options.steps == 0
    if not is_timed or options.passes == 0 or options.learn == "adapters":
        return 0.0
    return max(float(_LEAST_STEPS), options.passes * masks)


def has_time(step: int, elapsed: float, steps: float, budget: float) -> bool:
    """Say whether another round of so many steps is worth beginning; as for `Rounds.done`."""
    return budget - elapsed >= _LEAST_PART * steps * elapsed / max(step, 1)
