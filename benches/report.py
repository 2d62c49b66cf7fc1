"""What the benchmarks print: times by way, and figures beside what is wanted of them."""

from __future__ import annotations

import statistics


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def show_times(times: dict[str, list[float]], in_milliseconds: bool = False) -> None:
    unit, factor, digits = ("milliseconds", 1000, 1) if in_milliseconds else ("seconds", 1, 3)
    print(f"  {unit:<44}{'median':>10}{'fastest':>10}{'slowest':>10}")
    for way, values in times.items():
        figures = (statistics.median(values), min(values), max(values))
        print(f"  {way:<44}" + "".join(f"{factor * value:>10.{digits}f}" for value in figures))


def show(name: str, value: float, limit: float, at_least: bool = False) -> None:
    is_met = value >= limit if at_least else value <= limit
    wanted = f"wanted: at {'least' if at_least else 'most'} {limit}: {'met' if is_met else 'MISSED'}"
    print(f"  {name:<54}{value:>7.1f}   {wanted}")
