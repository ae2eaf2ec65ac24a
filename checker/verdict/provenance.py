"""The versions and settings of a verdict: enough to reproduce it a year later."""

import hashlib
import json
import os
import platform
import subprocess
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from checker.settings import THRESHOLDS, CheckerSettings
from lab.settings import ROOT, utc_now

DIGITS = 16
REQUIRED = "requirements.txt"  # in the folder of extra packages: what was installed


@dataclass(frozen=True)
class Provenance:
    """Versions by content: of the contract, the lock and the thresholds that were in force."""

    contract_version: str
    grader_version: str
    lock_hash: str
    thresholds_hash: str
    thresholds: dict[str, Any]
    machine: dict[str, Any]
    graded_at: str
    submission_hash: str
    packages_hash: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Provenance":
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})


def provenance(config: CheckerSettings, folder: Path) -> Provenance:
    """Return the provenance of a grading of `folder` that begins now, by the limits of `config`."""
    in_force = thresholds(config)
    return Provenance(
        contract_version=hash_of(ROOT / "docs" / "contract.md"),
        grader_version=grader_version(),
        lock_hash=hash_of(ROOT / "requirements.txt"),
        thresholds_hash=_short(json.dumps(in_force, sort_keys=True).encode()),
        thresholds=in_force,
        machine=machine(),
        graded_at=utc_now().isoformat(timespec="seconds"),
        submission_hash=hash_of_folder(folder),
        packages_hash=hash_of(packages / REQUIRED) if (packages := config.extra_packages) else "",
    )


def thresholds(config: CheckerSettings) -> dict[str, Any]:
    """The fields that the file of thresholds names, as they are in force."""
    names = tomllib.loads(THRESHOLDS.read_text())
    return {name: _shortest(getattr(config, name)) for name in names}


def _shortest(value: Any) -> Any:
    """A whole number without its point: 40 and 40.0 are one threshold."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def hash_of(file: Path) -> str:
    """A file's version: the first digits of its SHA-256."""
    return _short(file.read_bytes())


def hash_of_folder(folder: Path) -> str:
    """The version of all files of a folder, their names included."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)} {hash_of(file)}\n".encode(errors="replace"))
    return digest.hexdigest()[:DIGITS]


@cache
def grader_version() -> str:
    """The package's version, and the commit where there is one."""
    package = version("feature-store-lab")
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return package
    return f"{package}+{commit}"


@cache
def machine() -> dict[str, Any]:
    """The machine that the timed criteria ran on."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
