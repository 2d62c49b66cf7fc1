"""Writes the release's bill of materials: the collection, its binaries, and what these are made of, as CycloneDX 1.6 JSON.

The same sources and tools give the same bytes: its time is SOURCE_DATE_EPOCH or the last commit's, its serial number is made of
its content.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from datetime import datetime, timezone
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import shipped
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

COLLECTION = "https://github.com/tbot-tpm/tbot-tpm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--binaries", type=Path, help="the folder with tbot_tpm_ARCH, whose hashes are to be told")
    arguments = parser.parse_args()
    arguments.output.write_text(bill(arguments.binaries))


def bill(binaries: Path | None = None) -> str:
    crates = shipped.crates()
    components = {name: crate_component(crate) for name, crate in crates.items() if name != shipped.OURS}
    aws_lc, always = others(crates["aws-lc-sys"])
    collection = component("tbot.tpm", shipped.version(), "Apache-2.0 AND GPL-3.0-or-later", ComponentType.APPLICATION, "generic")
    programs = [program(arch, binaries) for arch in shipped.TARGETS]

    bom = Bom(metadata=BomMetaData(component=collection, timestamp=built_at()))
    for each in [*components.values(), *programs, aws_lc, *always]:
        bom.components.add(each)
    bom.register_dependency(collection, programs)
    for each in programs:
        bom.register_dependency(each, [components[name] for name in crates[shipped.OURS].needs] + always)
    for name, each in components.items():
        bom.register_dependency(each, [components[needed] for needed in crates[name].needs])
    bom.register_dependency(components["aws-lc-sys"], [aws_lc])

    bom.serial_number = uuid5(NAMESPACE_URL, COLLECTION)
    bom.serial_number = uuid5(NAMESPACE_URL, JsonV1Dot6(bom).output_as_string())
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def component(name: str, version: str, licence: str, kind: ComponentType, scheme: str, namespace: str | None = None) -> Component:
    purl = PackageURL(scheme, namespace, name, version)
    return Component(
        type=kind, name=name, version=version, purl=purl, bom_ref=str(purl), licenses=[LicenseFactory().make_from_string(licence)]
    )


def crate_component(crate: shipped.Crate) -> Component:
    made = component(crate.name, crate.version, crate.licence, ComponentType.LIBRARY, "cargo")
    if crate.sha256:
        made.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=crate.sha256))
    if crate.repository:
        made.external_references.add(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(crate.repository)))
    return made


def others(aws_lc_sys: shipped.Crate) -> tuple[Component, list[Component]]:
    """What is no crate: AWS-LC, which is C and a part of aws-lc-sys, and what every binary for these targets has."""
    library = ComponentType.LIBRARY
    rust, musl = shipped.rust_version(), shipped.musl_version()
    return component("aws-lc", f"v{shipped.aws_lc_version(aws_lc_sys)}", aws_lc_sys.licence, library, "github", "aws"), [
        component("rust-std", rust, "MIT OR Apache-2.0", library, "generic"),
        component("rust-llvm-libunwind", rust, "Apache-2.0 WITH LLVM-exception", library, "generic"),
        component("musl", musl, "MIT", library, "generic"),
    ]


def program(arch: str, binaries: Path | None) -> Component:
    made = component(f"tbot_tpm_{arch}", shipped.version(), "Apache-2.0", ComponentType.APPLICATION, "generic")
    if binaries:
        content = hashlib.sha256((binaries / made.name).read_bytes()).hexdigest()
        made.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=content))
    return made


def built_at() -> datetime:
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or shipped.output("git", "log", "-1", "--format=%ct")
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc)


if __name__ == "__main__":
    main()
