"""Packs the collection in a folder for Galaxy, so that the same files give the same bytes, and prints the tarball's path.

`ansible-galaxy collection build` says what goes in and with which checksums, but keeps the times of now, the order in which the
file system lists a folder, and the owners and modes of this machine's files. So it packs first, and its tarball is packed
again: in the order of names, everything root's and of SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path, help="the folder with galaxy.yml")
    parser.add_argument("output", type=Path, help="the folder for the tarball")
    arguments = parser.parse_args()
    time = int(os.environ["SOURCE_DATE_EPOCH"])
    with tempfile.TemporaryDirectory() as place:
        build = ["ansible-galaxy", "collection", "build", "--output-path", place, arguments.collection]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        [built] = Path(place).glob("*.tar.gz")
        entries = read(built)
    sort_lists(entries)
    path = arguments.output / built.name
    path.write_bytes(packed(entries, time))
    print(path)


def read(tarball: Path) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(tarball) as tar:
        return {info.name: (info, tar.extractfile(info).read() if info.isfile() else b"") for info in tar}


def sort_lists(entries: dict[str, tuple[tarfile.TarInfo, bytes]]) -> None:
    """Orders the list of files, and says its new checksum where the old one stands."""
    files = json.loads(entries["FILES.json"][1])
    files["files"].sort(key=lambda file: file["name"])
    listed = as_json(files)
    manifest = json.loads(entries["MANIFEST.json"][1])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    for name, content in (("FILES.json", listed), ("MANIFEST.json", as_json(manifest))):
        entries[name] = entries[name][0], content


def as_json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


def packed(entries: dict[str, tuple[tarfile.TarInfo, bytes]], time: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(entries):
            before, content = entries[name]
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.size = before.type, time, len(content)
            info.mode = 0o755 if before.isdir() or before.mode & 0o100 else 0o644
            info.uname = info.gname = "root"
            tar.addfile(info, io.BytesIO(content))
    # Without the name and time of a file. gzip.compress writes another header with each version of Python.
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(stream.getvalue())
    return packed.getvalue()


if __name__ == "__main__":
    main()
