"""The whole set-up of ten local hosts, all but the installation of packages: the collection's site.yml against the same
set-up in stock modules (stock_modules.yml), in wall time, side by side on a real systemd in a container.
"""

from __future__ import annotations

import sys

import container

MOST = 0.5  # of the stock modules' time


def main() -> None:
    ratios = container.show_set_up(container.seen_by("site_in_container.py", timeout=1800), "local hosts")
    if max(ratios) > MOST:
        sys.exit(f"site.yml takes {max(ratios):.2f} of what the stock modules take; {MOST} at most is wanted.")


if __name__ == "__main__":
    main()
