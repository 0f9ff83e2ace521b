"""The watch of workers without an agent, as a process: one of whose threads dies ends, and is launched again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.eventually import HANGS

APP = "from celery import Celery\napp = Celery(broker='memory://')\n"
ORDER = {"app": "an_app", "open": {}, "agents": [], "enable_events": False, "lost_after": 60.0, "host": "web-01"}


def test_a_watch_that_can_no_longer_hear_its_controller_ends(tmp_path: Path) -> None:
    (tmp_path / "an_app.py").write_text(APP, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "signalbox_agent.agentless.watch"],
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        # So long that what it cannot read is not read together with the order.
        input=json.dumps(ORDER).encode() + b"\n" + b'{"type": "ack", "seq": 0}\n' * 1000 + b"\xff\xff\n",
        cwd=tmp_path,
        capture_output=True,
        timeout=HANGS,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr.decode()
    assert "its thread listen has died: UnicodeDecodeError" in ended.stderr.decode()
