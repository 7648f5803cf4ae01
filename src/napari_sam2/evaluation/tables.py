"""Tables in Markdown: the network beside its rivals, the best in bold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from napari_sam2.evaluation.calibration import presence_quality, reliability
from napari_sam2.evaluation.challenge import ChallengeScore
from napari_sam2.evaluation.contest import SetResult
from napari_sam2.evaluation.methods import NETWORK
from napari_sam2.evaluation.summary import Curve, Summary, curves, summarise
from napari_sam2.evaluation.targets import targets

SHORT = {
    "network, whole frame": "whole frame at once",
    "watershed (global threshold)": "watershed, Otsu",
    "watershed (local threshold)": "watershed, local",
    "watershed (global threshold), linked": "watershed, Otsu",
    "watershed (local threshold), linked": "watershed, local",
    "optical flow (DIS) warping the mask": "optical flow",
}
"""Names of methods at the head of columns."""


def report(results: Sequence[SetResult]) -> str:
    """Return all tables with headings, the targets first."""
    summaries = summarise(results)
    blocks = [("Targets", target_table(results, summaries))]
    prompts = [cell for cell in summaries if _is_prompt(cell.protocol)]
    blocks.append(("Prompts on single frames", tables(prompts)))
    blocks.append(("Masklets", tables([c for c in summaries if not _is_prompt(c.protocol)])))
    blocks.append(("Corrections", curve_table(curves(results))))
    blocks.append(("Whole movies", challenge_table(results)))
    alone = [replace(result, challenge=result.automatic) for result in results]
    blocks.append(("Whole movies without a click", challenge_table(alone)))
    blocks.append(("What the network knows of itself", calibration_tables(results)))
    blocks.append(("Time", time_table(summaries)))
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in blocks if text)


def tables(summaries: Sequence[Summary]) -> str:
    """Return one table a protocol: sets down, methods across."""
    protocols = dict.fromkeys(cell.protocol for cell in summaries)
    return "\n\n".join(
        _protocol_table(name, [cell for cell in summaries if cell.protocol == name])
        for name in protocols
    )


def target_table(results: Sequence[SetResult], summaries: Sequence[Summary]) -> str:
    """Return what was to be reached, and what was."""
    rows = []
    for row in targets(results, summaries):
        value = _percent(row.value) if row.is_least else _with_error(row.value, row.error)
        bar = _percent(row.bar) if row.is_least else f"{row.bar:.2f}"
        rival = _percent(row.rival) if row.is_least else f"{row.rival:.3f}"
        verdict = "yes" if row.is_met else "no"
        name = SHORT.get(row.rival_name, row.rival_name)
        rows.append((row.measure, row.dataset, bar, value, verdict, f"{rival} ({name})"))
    heads = ("measure", "set", "target", "network", "met", "best rival")
    return _layout(heads, rows) if rows else ""


def curve_table(found: Sequence[Curve]) -> str:
    """Return J&F after each frame of interaction."""
    if not found:
        return ""
    length = max(len(curve.both) for curve in found)
    heads = ("J&F after so many frames", "way", "method", *map(str, range(1, length + 1)), "J then")
    rows = []
    for curve in found:
        values = [f"{value:.3f}" for value in curve.both]
        if curve.method == NETWORK and curve.count > 1:
            values[-1] += f" ± {curve.errors[-1]:.3f}"
        name = f"{curve.dataset} (n = {curve.count})"
        method = SHORT.get(curve.method, curve.method)
        last = f"{curve.iou[-1]:.3f}"
        rows.append((name, curve.protocol, method, *values, last))
    return _layout(heads, rows)


def challenge_table(results: Iterable[SetResult]) -> str:
    """Return SEG, DET, TRA and divisions of whole movies."""
    heads = ("set", "method", "SEG", "SEG, all labels", "DET", "TRA", "divisions (F1)")
    rows = []
    for result in results:
        names = ("seg", "seg_labels", "det", "tra")
        best = {
            name: max((getattr(s, name) for s in result.challenge), default=0) for name in names
        }
        for score in result.challenge:
            values = [_bold(getattr(score, name), best[name]) for name in names]
            divisions = _divisions(score)
            method = SHORT.get(score.method, score.method)
            rows.append((f"{result.title} ({_size(score)})", method, *values, divisions))
    return _layout(heads, rows) if rows else ""


def calibration_tables(results: Sequence[SetResult]) -> str:
    """Return how far predicted IoU and presence score can be believed."""
    rows = []
    for result in results:
        for what, pairs in confidence_pairs(result).items():
            if pairs:
                found = reliability(*zip(*pairs, strict=True))
                mean = [sum(column) / len(pairs) for column in zip(*pairs, strict=True)]
                rows.append(
                    (result.title, what, str(found.count), f"{mean[0]:.3f}", f"{mean[1]:.3f}",
                     f"{found.correlation:.2f}", f"{found.error:.3f}")
                )  # fmt: skip
    heads = ("predicted IoU", "of", "n", "predicted", "actual", "correlation", "calibration error")
    blocks = [_layout(heads, rows)] if rows else []
    presence = []
    for result in results:
        quality = presence_quality(result.confidence.object_score, result.confidence.present)
        if quality.gone:
            counts = (str(quality.present), str(quality.gone))
            figures = (f"{quality.auc:.3f}", f"{quality.balanced_accuracy:.3f}")
            presence.append((result.title, *counts, *figures))
    if presence:
        names = ("presence score", "frames present", "frames gone", "AUC", "balanced accuracy")
        blocks.append(_layout(names, presence))
    return "\n\n".join(blocks)


def confidence_pairs(result: SetResult) -> dict[str, list[tuple[float, float]]]:
    """Return predicted and actual IoU of the network, on prompted and on followed frames."""
    prompted = [
        (score.predicted_iou, score.iou)
        for score in result.scores
        if score.method == NETWORK and score.predicted_iou is not None
    ]
    followed = list(zip(result.confidence.predicted_iou, result.confidence.iou, strict=True))
    return {"prompts": prompted, "followed": followed}


def time_table(summaries: Sequence[Summary]) -> str:
    """Return milliseconds of the methods, averaged over sets."""
    rows = []
    for protocol in dict.fromkeys(cell.protocol for cell in summaries):
        cells = [cell for cell in summaries if cell.protocol == protocol]
        own = [cell.seconds for cell in cells if cell.method == NETWORK]
        flow = [cell.seconds for cell in cells if cell.method.startswith("optical flow")]
        if own:
            other = f"{1000 * sum(flow) / len(flow):.1f}" if flow else ""
            rows.append((protocol, f"{1000 * sum(own) / len(own):.1f}", other))
    heads = ("ms for an answer, or a frame of an object", "network", "optical flow")
    return _layout(heads, rows) if rows else ""


def _protocol_table(protocol: str, cells: Sequence[Summary]) -> str:
    """Lay out one protocol."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    found = {(cell.method, cell.dataset): cell for cell in cells}
    # A protocol that does not say what it measures measures J.
    is_plain = ":" in protocol or _is_prompt(protocol)
    measure = "" if ":" in protocol else ": J" if is_plain else ": J (J&F, lost)"
    rows = []
    for title in dict.fromkeys(cell.dataset for cell in cells):
        here = [cell for cell in cells if cell.dataset == title]
        best = max(cell.iou for cell in here)
        entries = [_entry(found.get((m, title)), best, is_plain) for m in methods]
        rows.append((f"{title} (n = {here[0].count})", *entries))
    return _layout((protocol + measure, *(SHORT.get(m, m) for m in methods)), rows)


def _entry(cell: Summary | None, best: float, is_plain: bool) -> str:
    """Format one cell; what the reader takes for equal is bold too."""
    if cell is None:
        return ""
    text = _bold(cell.iou, best) + (f" ± {cell.iou_error:.3f}" if cell.count > 1 else "")
    if is_plain:
        return text
    lost = "" if cell.lost is None else f", {_percent(cell.lost)}"
    return f"{text} ({cell.both:.3f}{lost})"


def _layout(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    form: Callable[[Sequence[str]], str] = lambda row: "| " + " | ".join(row) + " |"  # noqa: E731
    return "\n".join([form(heads), "| --- " * len(heads) + "|", *map(form, rows)])


def _is_prompt(protocol: str) -> bool:
    return protocol in ("1 click", "3 clicks", "5 clicks", "box")


def _bold(value: float, best: float) -> str:
    text = f"{value:.3f}"
    return f"**{text}**" if text == f"{best:.3f}" and best > 0 else text


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f}" + (f" ± {error:.3f}" if error == error else "")


def _divisions(score: ChallengeScore) -> str:
    return "" if score.divisions is None else f"{score.divisions:.2f} of {score.num_divisions}"


def _size(score: ChallengeScore) -> str:
    return f"{score.num_objects} cells, {score.num_masks} masks"
