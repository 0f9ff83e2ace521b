"""Which cgroup a controller may use, and what its proof covers, row by row."""

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from signalbox.messages.base import Evidence, weakest
from signalbox_agent.cgroup import Cgroup, name_for, path_of, proc_of
from signalbox_agent.child.slot import Slot
from signalbox_agent.child.slots import Slots
from signalbox_agent.proc import Proc
from signalbox_controller.cancelling.proof import Proof, verdict_of
from signalbox_controller.cancelling.wording import SEARCHED, SHARED, limits_of
from signalbox_controller.linux import cgroups
from signalbox_controller.linux.cgroups import REMEDY, Mount, find, folder_of, mount_of

UNIFIED = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
)
CONTAINER = "31 23 0:28 /docker/abc /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw\n"
ODD = "31 23 0:28 / /mnt/my\\040groups rw - cgroup2 none rw\n"
V1_ONLY = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"


@pytest.mark.parametrize(
    ("mountinfo", "mount"),
    [
        (UNIFIED, Mount("/sys/fs/cgroup", "/")),
        (HYBRID, Mount("/sys/fs/cgroup/unified", "/")),
        (CONTAINER, Mount("/sys/fs/cgroup", "/docker/abc")),
        (ODD, Mount("/mnt/my groups", "/")),
        (V1_ONLY, None),
        ("", None),
    ],
)
def test_the_hierarchy_is_found_where_it_is_mounted(mountinfo: str, mount: Mount | None) -> None:
    assert mount_of(mountinfo) == mount


@pytest.mark.parametrize(
    ("mount", "membership", "folder"),
    [
        (Mount("/sys/fs/cgroup", "/"), "0::/system.slice/sb.service\n", "/sys/fs/cgroup/system.slice/sb.service"),
        (Mount("/sys/fs/cgroup/unified", "/"), "9:name=systemd:/x\n4:memory:/y\n0::/\n", "/sys/fs/cgroup/unified"),
        # A container that shares the hierarchy of its host sees its own part of it, mounted as if it were the root …
        (Mount("/sys/fs/cgroup", "/docker/abc"), "0::/docker/abc\n", "/sys/fs/cgroup"),
        (Mount("/sys/fs/cgroup", "/docker/abc"), "0::/docker/abc/sub\n", "/sys/fs/cgroup/sub"),
        # … and not what lies outside.
        (Mount("/sys/fs/cgroup", "/docker/abc"), "0::/docker/abcdef\n", ""),
        (Mount("/sys/fs/cgroup", "/docker/abc"), "0::/\n", ""),
        (Mount("/sys/fs/cgroup", "/"), "4:memory:/y\n", ""),
        (None, "0::/\n", ""),
    ],
)
def test_the_folder_of_a_process_is_found_from_its_membership(
    mount: Mount | None, membership: str, folder: str
) -> None:
    assert folder_of(mount, membership) == folder


def test_a_controller_finds_its_cgroup_again_and_no_other_has_it(tmp_path: Path) -> None:
    names = {cgroups.name_for(folder) for folder in (tmp_path / "a", tmp_path / "a", tmp_path / "b")}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), REMEDY),
        (OSError(errno.EROFS, "Read-only file system"), REMEDY),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_a_host_without_cgroups_says_why_and_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def refuse(_: Cgroup) -> None:
        raise error

    monkeypatch.setattr(cgroups, "own_folder", lambda: str(tmp_path))
    monkeypatch.setattr(cgroups, "_probe", refuse)
    found = find(tmp_path / "data")
    assert (found.evidence, found.cgroup) == ("search", None)
    assert words in found.reason
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_cannot_kill_a_cgroup_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "own_folder", lambda: str(tmp_path))
    monkeypatch.setattr(cgroups, "_probe", lambda _: None)
    assert "5.14" in find(tmp_path / "data").reason


def test_a_host_on_which_they_are_switched_off_says_so(tmp_path: Path) -> None:
    assert "SIGNALBOX_CGROUPS=off" in find(tmp_path, off=True).reason


@pytest.mark.parametrize(
    ("name", "proc"), [("47-11", Proc(47, 11)), ("left", None), ("../47-11", None), ("47-11/x", None), ("", None)]
)
def test_only_the_name_of_a_child_names_the_cgroup_of_one(name: str, proc: Proc | None) -> None:
    assert proc_of(name) == proc
    assert proc is None or name_for(proc) == name


def test_the_membership_of_the_second_version_is_read() -> None:
    assert path_of("4:memory:/a\n0::/b/c\n") == "/b/c"


@pytest.mark.parametrize(
    ("seen", "evidence"),
    [
        ((), None),
        ((None,), None),
        (("cgroup", None), "cgroup"),
        (("search", None), "search"),
        (("cgroup", "search"), "search"),
    ],
)
def test_of_several_proofs_the_weakest_counts(seen: Sequence[Evidence | None], evidence: Evidence | None) -> None:
    assert weakest(seen) == evidence


@pytest.mark.parametrize(
    ("evidence", "shared", "words"),
    [("cgroup", False, ""), ("search", False, SEARCHED), ("cgroup", True, SHARED), ("search", True, SHARED)],
)
def test_what_a_proof_does_not_cover_is_said(evidence: Evidence, shared: bool, words: str) -> None:
    assert limits_of(evidence, shared=shared) == words


def test_a_task_is_not_called_cancelled_while_its_cgroup_is_populated() -> None:
    proof = Proof([], [], "cgroup", populated=True)
    assert verdict_of("cancelled", proof, ran=True, cancels_one=True) == "alive"


def test_what_a_task_has_left_is_noted_for_this_task_and_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 4711)
    slots, long = Slots(str(tmp_path)), "x" * 10_000
    slot = Slot(str(tmp_path))
    slot.begin(long)
    slot.note_left(2)
    assert [slots.left_by(4711, long), slots.left_by(4711, long)] == [2, 0]
    slot.begin("another")
    slot.note_left(2)
    assert slots.left_by(4711, "this one") == 0
