"""The JavaScript that decides what the dashboard shows; its tests are in `tests/frontend`, for `node --test`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.requirement import missing

ROOT = Path(__file__).parents[2]


def test_what_the_dashboard_makes_of_tasks_and_processes() -> None:
    node = shutil.which("node", path=os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)]))
    if node is None:
        missing(
            "no node on the PATH or in .venv, so nobody tests the dashboard's JavaScript; make install-dev brings it"
        )
    files = sorted(map(str, (ROOT / "tests" / "frontend").glob("*.test.js")))
    assert files
    done = subprocess.run([node, "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
