"""The cgroups that a controller makes, seen from a test; the test leaves none behind."""

import time
from pathlib import Path

from signalbox_agent.cgroup import Cgroup
from signalbox_controller.linux.cgroups import find, name_for, own_folder
from support.eventually import HANGS
from support.requirement import missing


def cgroup_of(data: Path) -> Cgroup | None:
    """That of the controller with this data folder, be it there or not; None where there can be none."""
    folder = own_folder()
    return Cgroup(folder).below(name_for(data)) if folder else None


def end_cgroup(data: Path) -> None:
    """End all that is in it, and remove it."""
    cgroup = cgroup_of(data)
    if cgroup is None or not cgroup.exists:
        return
    end = time.monotonic() + HANGS
    while not cgroup.remove() and time.monotonic() < end:
        cgroup.kill()
        time.sleep(0.01)


def need_cgroups(folder: Path) -> None:
    """Skip the test where no cgroups can be made; `folder` is any that no controller uses."""
    found = find(folder)
    if found.cgroup is None:
        missing(f"no cgroups: {found.reason}")
    found.cgroup.remove()
