"""The whole set-up of ten local hosts, all but the installation of packages: the collection's site.yml against the same
set-up in stock modules (stock_modules.yml), in wall time, side by side on a real systemd in a container.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "scripts"))

import booted_container  # noqa: E402 (the path is set just above)

MOST = 0.5  # of the stock modules' time


def main() -> None:
    subprocess.run([PROJECT / "tests" / "go" / "build.sh"], check=True)
    with tempfile.TemporaryDirectory(prefix="tbot-tpm-bench-") as folder:
        try:
            seen = booted_container.report_of(Path(__file__).with_name("site_in_container.py"), Path(folder), timeout=1800)
        except booted_container.NoContainer as why:
            sys.exit(f"This benchmark boots a container: {why}.")
    print(f"Setting up {seen['hosts']} local hosts: seconds, median of {seen['rounds']} rounds (lowest to highest)")
    print(f"  {'':<34}{'site.yml':>22}{'stock modules':>22}{'ratio':>8}")
    ratios = []
    for run, title in {"first": "first run, nothing is there", "second": "second run, nothing to be done"}.items():
        site, stock = (seen["times"][way][run] for way in ("site", "stock"))
        ratios.append(statistics.median(site) / statistics.median(stock))
        print(f"  {title:<34}{shown(site):>22}{shown(stock):>22}{ratios[-1]:>8.2f}")
    if max(ratios) > MOST:
        sys.exit(f"site.yml takes {max(ratios):.2f} of what the stock modules take; {MOST} at most is wanted.")


def shown(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


if __name__ == "__main__":
    main()
