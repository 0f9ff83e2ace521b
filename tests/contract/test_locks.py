"""The locks: complete, hashed, alike, and free of any registry's address."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements" / f"{name}.txt" for name in ("run", "dev", "monitoring", "node")]
DISTRIBUTIONS = ["shared", "services/api", "services/controller", "services/reconciler"]
OURS = "celery-signalbox"


def normal(requirement: str) -> str:
    """The normalised name in a requirement such as ``Redis[hiredis]>=6 ; marker`` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement.strip())[0]).lower()


def locked(lock: Path) -> dict[str, str]:
    """Name and version of each package in a lock."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE)
    return {normal(name): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_a_registry(lock: Path) -> None:
    assert not re.findall(r".*(?:://|--extra-index-url|--index-url|--find-links).*", lock.read_text())


def test_the_lock_of_the_front_end_names_no_registry_either() -> None:
    """Npm writes an address into `resolved`; that of a package's sponsors (`funding`) is none of a registry."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock["packages"]
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_a_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert entries
    assert not [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_tests_run_on_the_versions_that_people_run() -> None:
    run, dev = locked(LOCKS[0]), locked(LOCKS[1])
    assert run.items() <= dev.items()


def test_other_peoples_monitoring_is_installed_apart_with_the_versions_of_all_else() -> None:
    wanted = (ROOT / "requirements" / "monitoring.in").read_text().splitlines()
    direct = {normal(line) for line in wanted if line and line[0] not in "#-"}
    dev, apart = locked(LOCKS[1]), locked(LOCKS[2])
    assert direct <= apart.keys() - dev.keys()
    assert {name: apart[name] for name in apart.keys() & dev.keys()}.items() <= dev.items()


@pytest.mark.parametrize("folder", DISTRIBUTIONS)
def test_whatever_a_distribution_needs_is_locked(folder: str) -> None:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    needed = [
        *project["dependencies"],
        *(name for extra in project.get("optional-dependencies", {}).values() for name in extra),
    ]
    assert {normal(name) for name in needed} - {OURS} <= locked(LOCKS[0]).keys()
