"""How a process ended that is not our child: an adopted one belongs to pid 1, which alone can wait for it.

Two places tell it to others of the same user: `/proc/<pid>/stat` until pid 1 has reaped it (proc(5), field 52), and
from then on a pidfd that was opened before (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15). Tried on 6.18.
"""

import fcntl
import os
import struct
from pathlib import Path

from signalbox_controller.linux.procfs import Proc

#: `_IOWR(0xFF, 11, struct pidfd_info)` in its first version of 64 bytes (include/uapi/linux/pidfd.h).
_GET_INFO, _SIZE = 0xC040FF0B, 64
#: Which fields are asked for and were given; the first field.
_MASK, _INFO_EXIT = struct.Struct("=Q"), 1 << 3
_STATUS, _STATUS_AT = struct.Struct("=i"), 60


def code_of(proc: Proc, pidfd: int | None) -> int | None:
    """The exit code of a dead process, negative for a signal; None where neither place tells it any more."""
    status = _zombie_status(proc)
    if status is None and pidfd is not None:
        status = _reaped_status(pidfd)
    return None if status is None else os.waitstatus_to_exitcode(status)


def _zombie_status(proc: Proc) -> int | None:
    try:
        text = Path(f"/proc/{proc.pid}/stat").read_bytes()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    ours = int(fields[19]) == proc.started and fields[0] == b"Z"
    return int(fields[49]) if ours else None


def _reaped_status(pidfd: int) -> int | None:
    info = bytearray(_SIZE)
    _MASK.pack_into(info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, info)
    except OSError:  # an older kernel
        return None
    told = _MASK.unpack_from(info)[0] & _INFO_EXIT
    return int(_STATUS.unpack_from(info, _STATUS_AT)[0]) if told else None
