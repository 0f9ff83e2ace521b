"""The JavaScript that decides what the dashboard shows; its tests are in `tests/frontend`, for `node --test`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from signalbox_controller.logs.logfile import LINE_BREAK
from support.requirement import missing

ROOT = Path(__file__).parents[2]


def test_what_the_dashboard_makes_of_tasks_and_processes() -> None:
    node = shutil.which("node", path=os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)]))
    if node is None:
        missing("no node on the PATH or in .venv, which runs the dashboard's tests; make install-dev brings it")
    files = sorted(map(str, (ROOT / "tests" / "frontend").glob("*.test.js")))
    assert files
    done = subprocess.run([node, "--test", *files], cwd=ROOT, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_breaks_a_quoted_log_where_the_controller_joined_its_lines() -> None:
    row = ROOT / "services/api/signalbox_api/dashboard/js/views/processes/process_row.js"
    assert f"const LINE_BREAK = {json.dumps(LINE_BREAK)};" in row.read_text(encoding="utf-8")
