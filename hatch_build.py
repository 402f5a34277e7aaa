"""Build hook: the wheel's `sboms/rawtune.cdx.json`, a CycloneDX list of every package that constraints.txt pins.

An editable install gets none. The same pins make the same bytes: no wall-clock, no random serial number.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BEGINNING = 1_580_601_600
"""Seconds; what hatchling itself stamps files with where SOURCE_DATE_EPOCH is not set."""


class BillOfMaterials(BuildHookInterface[Any]):
    """Writes the list beside the build and names it to hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs."""
        if version == "editable":
            return
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "rawtune.cdx.json"
        path.write_text(bill_of_materials((Path(self.root) / "constraints.txt").read_text("utf-8")), "utf-8")
        build_data["sbom_files"].append(str(path))


def bill_of_materials(pins: str) -> str:
    """CycloneDX 1.6 as JSON of lines `name==version`."""
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    pairs = [line.strip().split("==") for line in pins.splitlines() if "==" in line and not line.startswith("#")]
    made = [
        Component(
            bom_ref=f"{name}@{version}",
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=PackageURL("pypi", None, name.lower(), version),
        )
        for name, version in pairs
    ]
    stamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", BEGINNING)), UTC)
    bom = Bom(
        components=made,
        serial_number=uuid.UUID(hashlib.sha256(pins.encode()).hexdigest()[:32]),
        metadata=BomMetaData(
            timestamp=stamp, component=Component(bom_ref="rawtune", name="rawtune", type=ComponentType.APPLICATION)
        ),
    )
    return JsonV1Dot6(bom).output_as_string(indent=1)
