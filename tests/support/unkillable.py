"""A process that outlives KILL, as one in uninterruptible sleep does: its tracer keeps it at its exit (ptrace(2))."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Says when it traces the process, and lets go of it by its own end.
_TRACER = """
import ctypes, sys
SEIZE, TRACE_EXIT = 0x4206, 0x40
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(SEIZE, int(sys.argv[1]), None, ctypes.c_void_p(TRACE_EXIT)):
    sys.exit(f"ptrace: errno {ctypes.get_errno()}")
print("traces", flush=True)
sys.stdin.read()
"""


@contextmanager
def unkillable(pid: int) -> Iterator[None]:
    """Keep this process from dying until the end."""
    command = [sys.executable, "-c", _TRACER, str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == b"traces\n"
        try:
            yield
        finally:
            tracer.kill()
