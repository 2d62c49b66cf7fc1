"""Prints the notices that go with the released binaries: whose code is in them, and on which terms."""

from __future__ import annotations

import html
import re
from collections import defaultdict

import shipped

# Files in a crate's top folder that say who owns it and what is allowed.
NOTICE = re.compile(r"(?i)(un)?licen[cs]e|copying|copyright|notice")
# Crates of the standard library that are for other systems than Linux.
ELSEWHERE = re.compile("fortanix-sgx|hermit|moto-rt|r-efi|unwinding|vex-sdk|wasi|windows|wit-bindgen")
# Where a crate has the sources of somebody else's library, with a notice of its own.
BUNDLED = {"libmimalloc-sys": "c_src/mimalloc/v2"}
MUSL = """musl as a whole is licensed under the following standard MIT license:

Copyright © 2005-2020 Rich Felker, et al.
"""


def main() -> None:
    owners = []
    texts: dict[str, list[str]] = defaultdict(list)
    # By its words: the same licence comes in lines of different lengths.
    first: dict[str, str] = {}
    for owner, licence, notices in [*crates(), *standard_library(), musl(), libunwind()]:
        owners.append(f"{owner}: {licence}")
        for notice in notices:
            text = first.setdefault(" ".join(notice.split()), notice.strip("\n"))
            texts[text].append(owner)
    print("The binaries tbot_tpm_ARCH contain code of these projects, under these licences:\n")
    print("\n".join(owners))
    for text, of in texts.items():
        print(f"\n{'=' * 100}\n{', '.join(dict.fromkeys(of))}\n{'-' * 100}\n{text}")


def crates() -> list[tuple[str, str, list[str]]]:
    """Of each crate its name, licence and texts."""
    found = []
    for crate in sorted(shipped.crates().values()):
        if crate.name == shipped.OURS:
            continue
        folders = [crate.folder, *([crate.folder / BUNDLED[crate.name]] if crate.name in BUNDLED else [])]
        files = [path for folder in folders for path in sorted(folder.iterdir())]
        notices = [path.read_text() for path in files if NOTICE.match(path.name) and path.is_file()]
        if not (crate.licence and notices):
            raise SystemExit(f"{crate.name} {crate.version} has no licence, or no file with it: its notice has to be found.")
        found.append((f"{crate.name} {crate.version}", crate.licence, notices))
    return found


def standard_library() -> list[tuple[str, str, list[str]]]:
    """Rust's, and the crates that it is made of, from the page that the toolchain has of them."""
    own_part, *parts = _toolchain_text("COPYRIGHT-library.html").split("<h3>")
    licences = [_toolchain_text("licenses/MIT.txt"), _toolchain_text("licenses/Apache-2.0.txt")]
    found = [(f"The Rust standard library {shipped.rust_version()}", "MIT OR Apache-2.0", [_own_files(own_part), *licences])]
    for part in parts:
        name, version = re.match(r"\S+ (.*?)-(\d.*?)</h3>", part).groups()
        if ELSEWHERE.match(name):
            continue
        licence = html.unescape(re.search(r"License:</b> (.*?)</p>", part)[1])
        notices = [html.unescape(text).strip() for text in re.findall(r"<pre>(.*?)</pre>", part, re.DOTALL)]
        found.append((f"{name} {version} (in the standard library)", licence.replace("/", " OR "), notices))
    return found


def _own_files(page: str) -> str:
    """What the page says of the library's own files, as text."""
    body = page.split('<h2 id="in-tree-files">')[-1].partition("<h2")[0]
    lines = [html.unescape(re.sub("<[^>]*>", "", line)).strip() for line in body.splitlines()]
    return "\n".join(line for line in lines if line).removeprefix("In-tree files\n")


def musl() -> tuple[str, str, list[str]]:
    return f"musl {shipped.musl_version()}", "MIT", [MUSL, _toolchain_text("licenses/MIT.txt")]


def libunwind() -> tuple[str, str, list[str]]:
    texts = [_toolchain_text("licenses/Apache-2.0.txt"), _toolchain_text("licenses/LLVM-exception.txt")]
    return f"LLVM libunwind (of Rust {shipped.rust_version()})", "Apache-2.0 WITH LLVM-exception", texts


def _toolchain_text(name: str) -> str:
    path = shipped.sysroot() / "share/doc/rust" / name
    if not path.exists():
        raise SystemExit(f"The Rust toolchain has no {path}; one that rustup installs has.")
    return path.read_text()


if __name__ == "__main__":
    main()
