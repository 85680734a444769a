"""What is written down about a fleet, so that any later process can find or remove it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """The facts of a fleet that do not follow from its folder's name."""

    number: int  # of its network
    size: int  # hosts at `up`
    image: str  # the folder of its base image
    ready: bool  # whether all hosts have been up

    def save(self, folder: Path) -> None:
        """Write it into the fleet's folder, whole or not at all."""
        new = folder / "fleet.json.new"
        new.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        os.replace(new, folder / "fleet.json")


def load(folder: Path) -> Record | None:
    """The record in a fleet's folder, or None when there is none that makes sense."""
    try:
        return Record(**json.loads((folder / "fleet.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
