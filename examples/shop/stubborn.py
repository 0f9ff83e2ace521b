"""Tasks that are hard to stop. Each does what careless code in real applications does.

Celery's ``revoke(terminate=True)`` sends TERM to the pool child, where billiard's handler turns it
into a SystemExit raised wherever the task happens to be.
"""

import hashlib
import signal
import subprocess
import time

from celery.utils.log import get_task_logger

from shop.app import app
from shop.effort import slices

logger = get_task_logger(__name__)


@app.task
def ignore_term(seconds: float = 60.0) -> str:
    """Work for so many seconds and ignore TERM: only KILL ends it before."""
    end = time.monotonic() + seconds
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        while (left := end - time.monotonic()) > 0:
            try:
                for _ in slices(left):
                    pass
            except SystemExit:
                logger.warning("asked to exit, goes on")
    finally:
        # The child takes other tasks after this one, and they must stay stoppable.
        signal.signal(signal.SIGTERM, before)
    return "was not stopped"


@app.task
def slow_cleanup(seconds: float = 60.0, cleanup: float = 3.0) -> str:
    """Work for so many seconds, then clean up for ``cleanup`` seconds, after a TERM as well."""
    try:
        for _ in slices(seconds):
            pass
    finally:
        logger.info("cleaning up for %s s", cleanup)
        for _ in slices(cleanup):
            pass
    return "cleaned up"


@app.task
def one_long_call(seconds: float = 20.0) -> str:
    """Spend about so many seconds in one call of C code: a TERM is acted on when it returns."""
    sample = 100_000
    begin = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"shop", b"salt", sample)
    rounds = int(sample * seconds / (time.perf_counter() - begin))
    return hashlib.pbkdf2_hmac("sha256", b"shop", b"salt", max(1, rounds)).hex()


@app.task
def eat_memory(megabytes: int = 1000, seconds: float = 60.0) -> int:
    """Take so much memory, all of it really used, and hold it for so long."""
    held = [bytearray(b"x" * 1_000_000) for _ in range(megabytes)]
    for _ in slices(seconds):
        pass
    return len(held)


@app.task
def run_subprocess(seconds: float = 60.0) -> int:
    """Start a program and wait for it; a TERM to the task leaves the program running."""
    # Not subprocess.run(), which would kill the program when the SystemExit comes.
    program = subprocess.Popen(["sleep", str(seconds)])
    logger.info("started pid %d", program.pid)
    return program.wait()


@app.task
def run_detached_subprocess(seconds: float = 60.0) -> int:
    """The same, and the program has a session of its own: no signal to a group reaches it."""
    program = subprocess.Popen(["sleep", str(seconds)], start_new_session=True)
    logger.info("started pid %d in a session of its own", program.pid)
    return program.wait()


@app.task
def leave_program(seconds: float = 60.0) -> int:
    """Start a program in a session of its own, and complete while it runs."""
    program = subprocess.Popen(["sleep", str(seconds)], start_new_session=True)
    logger.info("left pid %d running", program.pid)
    return program.pid
