"""A worker holds a lock for as long as its main process lives, and one that finds it held writes that down.

For `PYTHONPATH`: it runs at the start of the interpreter, before anything else of a launch. A record lock belongs to
one process: pool children do not inherit it, and it is gone the moment the process is (fcntl(2)).
"""

import fcntl
import os
import sys
from pathlib import Path

line = sys.orig_argv
if "worker" in line and "-n" in line:
    node = line[line.index("-n") + 1]
    place = Path(os.environ["ONCE"])
    lock = (place / node).open("a", encoding="ascii")
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (place / f"{os.getpid()}.twice").write_text(node, encoding="ascii")
