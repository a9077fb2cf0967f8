"""What is told of each contestant: the median over the rounds as a table, everything as JSON, the rates as a plot."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tests.benchmarks.sidebyside.contest import CONTESTANTS, Result

_HEAD = (
    "scenario",
    "",
    "vehicles/s, steady",
    "vehicles/s, whole",
    "CPU a vehicle",
    "memory a worker",
    "right",
    "wrong bytes",
    "failed needlessly",
    "lost",
)
_COLOURS = ("#1f6f8b", "#5fa8c0", "#8f8f8f", "#c2c2c2", "#d98e1f", "#a8242f")


def table(results: list[Result]) -> str:
    """Return a markdown table, one line for each contestant in each scenario; counts are those of all rounds."""
    lines = [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    for scenario in dict.fromkeys(result.scenario for result in results):
        for name in CONTESTANTS:
            runs = [run for run in results if run.scenario == scenario and run.contestant == name]
            if runs:
                lines.append(f"| {' | '.join(_line(scenario, name, runs))} |")
    return "\n".join(lines)


def _line(scenario: str, name: str, runs: list[Result]) -> tuple[str, ...]:
    vehicles = sum(run.vehicles for run in runs)
    ended = all(run.ended for run in runs)
    return (
        scenario,
        name,
        _rate(_steady(runs)),
        _rate(median(run.whole for run in runs)) + ("" if ended else " (ended at the limit)"),
        f"{median(run.cpu_ms for run in runs):.0f} ms",
        f"{median(run.memory_mb for run in runs):.0f} MB",
        f"{sum(run.right for run in runs)} of {vehicles}",
        str(sum(run.wrong for run in runs)),
        str(sum(run.failed for run in runs)),
        str(sum(run.lost for run in runs)),
    )


def _steady(runs: list[Result]) -> float | None:
    rates = [run.steady for run in runs if run.steady is not None]
    return median(rates) if rates else None


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _label(height: float, runs: list[Result]) -> str:
    right, vehicles = sum(run.right for run in runs), sum(run.vehicles for run in runs)
    return f"{height:.1f}" if right == vehicles else f"{height:.1f}\n{right} of\n{vehicles}"


def write_json(path: Path, machine: str, results: list[Result]) -> None:
    """Write every single run."""
    known = {"machine": machine, "runs": msgspec.to_builtins(results)}
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def plot(path: Path, machine: str, results: list[Result]) -> None:
    """Draw the steady rates, a group of bars for each scenario; where not all came right, how many is written above."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 - of the group `bench`, slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    scenarios = list(dict.fromkeys(result.scenario for result in results))
    names = [name for name in CONTESTANTS if any(result.contestant == name for result in results)]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasSVG(figure)
    axes: Any = figure.add_subplot()
    width = 0.8 / len(names)
    for index, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        found = [
            [run for run in results if run.scenario == scenario and run.contestant == name] for scenario in scenarios
        ]
        heights = [_steady(runs) or 0.0 for runs in found]
        places = [place - 0.4 + width * (index + 0.5) for place in range(len(scenarios))]
        bars = axes.bar(places, heights, width * 0.9, label=name, color=colour)
        axes.bar_label(bars, [_label(height, runs) for height, runs in zip(heights, found, strict=True)], fontsize=6)
    axes.set_xticks(range(len(scenarios)), scenarios)
    axes.set_ylabel("vehicles a second, steady state", fontsize=8)
    axes.set_title(machine, fontsize=8)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
