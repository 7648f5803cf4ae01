"""One run over many sets: each is written when it is finished, and a run goes on from there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_sam2.evaluation.contest import Contest, Say, SetResult
from napari_sam2.evaluation.plots import write_plots
from napari_sam2.evaluation.report import markdown, read_results, write_json, write_whole
from napari_sam2.evaluation.sampling import Protocols, Sampling
from napari_sam2.evaluation.sets import EvaluationSet
from napari_sam2.evaluation.strips import write_strips

Open = Callable[[], EvaluationSet]

_MUST_AGREE = ("weights_sha256", "device", "dtype", "code_sha256", "truth", "movies", "asked")


@dataclass(frozen=True)
class Evaluation:
    """What is measured, and where the results go.

    Attributes
    ----------
    contest : Contest
    sampling : Sampling
    protocols : tuple of str
    facts : dict
        The circumstances; sets that were measured under the same ones are not measured again.
    folder : Path
        Gets ``evaluation.json``, ``report.md``, ``plots``, ``strips``, and ``sets`` with one file
        for every finished set.
    """

    contest: Contest
    sampling: Sampling
    protocols: tuple[Protocols, ...]
    facts: Mapping[str, Any]
    folder: Path

    def run(self, sets: Mapping[str, Open], say: Say) -> list[SetResult]:
        """Measure every set, and write all that is known after each.

        Parameters
        ----------
        sets : mapping of str to callable
            Opens each set when its turn has come.
        say : callable
            Told what is done now.
        """
        facts = self.all_facts()
        results: list[SetResult] = []
        for name, open_it in sets.items():
            results.append(self.finish(name, open_it, say))
            write_results(self.folder, facts, results)
        write_plots(self.folder / "plots", results)
        return results

    def finish(self, name: str, open_it: Open, say: Say) -> SetResult:
        """Measure one set and write its file, or read what was measured before."""
        facts = self.all_facts()
        result = self._finished(name, facts)
        if result is None:
            return self._measure(name, open_it, facts, say)
        say(f"{name}: measured before")
        return result

    def all_facts(self) -> dict[str, Any]:
        """Return the circumstances with what was asked."""
        # As JSON gives it back, so that both can be compared.
        asked = json.loads(json.dumps([asdict(self.sampling), list(self.protocols)]))
        return {**self.facts, "seed": self.sampling.seed, "asked": asked}

    def _measure(self, name: str, open_it: Open, facts: Mapping[str, Any], say: Say) -> SetResult:
        result, kept = self.contest.measure(
            open_it(), self.sampling, self.protocols, lambda text: say(f"{name}: {text}")
        )
        write_strips(self.folder / "strips", _file_name(name), kept)
        write_json(self._path(name), facts, [result])
        return result

    def _finished(self, name: str, facts: Mapping[str, Any]) -> SetResult | None:
        """Return the result of an earlier run under the same circumstances."""
        path = self._path(name)
        if not path.is_file():
            return None
        before, results = read_results(path)
        if any(before.get(key) != facts.get(key) for key in _MUST_AGREE):
            return None
        return results[0]

    def _path(self, name: str) -> Path:
        return self.folder / "sets" / f"{_file_name(name)}.json"


def write_results(folder: Path, facts: Mapping[str, Any], results: list[SetResult]) -> None:
    """Write ``evaluation.json`` and ``report.md``."""
    write_json(folder / "evaluation.json", facts, results)
    write_whole(folder / "report.md", f"# Evaluation\n\n{markdown(facts, results)}")


def _file_name(name: str) -> str:
    """Return a name without what a file system or a path may not have."""
    return re.sub(r"[^\w.-]+", "_", name.strip("/."))
