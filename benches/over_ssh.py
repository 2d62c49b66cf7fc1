"""The set-up of 4 and of 20 hosts over ssh, on a link with a long round trip: site.yml against the same in stock modules, then one
task of each. Ansible has its default configuration, with pipelining, and an installed collection. It shows the ratios, and sets no limit.
"""

from __future__ import annotations

import container


def main() -> None:
    seen = container.seen_by("over_ssh_in_container.py", timeout=3600)
    link = f"over ssh, {seen['round_trip']} round trip and {seen['bandwidth']}/s"
    for of_some in seen["set_ups"]:
        container.show_set_up(seen | of_some, f"hosts {link}")
    container.show_heading(f"One task {link}", seen["rounds"], ("tbot_tpm", "stat"))
    container.show_beside("identify, and a stock module", seen["task"]["tbot_tpm"], seen["task"]["stat"], digits=2)


if __name__ == "__main__":
    main()
