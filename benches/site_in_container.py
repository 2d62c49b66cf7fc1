"""Sets ten local hosts up, and writes the seconds to RESULTS/seen.json. Started by site.py in a throw-away container."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import set_up  # which also sets the path for the next ones
from ansible_runs import Ansible
from software_tpm import SoftwareTpms

HOSTS = [f"host-{number:02}" for number in range(1, 11)]
ROUNDS = 3


class Local(set_up.Bench):
    """Hosts that the local connection reaches, and the collection in the checkout."""

    arguments = ("--forks", str(len(HOSTS)))

    def variables(self) -> dict[str, object]:
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "tbot_become": False,  # this is root already
        }


def main(results: Path) -> None:
    scratch = Path("/tmp/bench")
    scratch.mkdir()
    with SoftwareTpms(scratch / "tpms") as tpms:
        times = Local(scratch, HOSTS, Ansible(), tpms).measure(ROUNDS)
    (results / "seen.json").write_text(json.dumps({"rounds": ROUNDS, "hosts": len(HOSTS), "times": times}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
