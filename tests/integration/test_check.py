"""`signalbox-controller --check` finds, before anything is started, what would keep a process from working."""

from pathlib import Path

import pytest

from signalbox_controller.__main__ import main

CONFIGURATION = """
[apps.well]
app = "well"
[[apps.well.workers]]
name = "well"
queues = ["mail"]
options = ["--max-tasks-per-child=5"]

[apps.interpreter]
app = "well"
python = "./no/python"
[[apps.interpreter.workers]]
name = "interpreter"

[apps.bare]
app = "well"
python = "/bin/true"
[[apps.bare.workers]]
name = "bare"

[apps.absent]
app = "nowhere"
[[apps.absent.workers]]
name = "absent"

[apps.broken]
app = "broken"
[[apps.broken.workers]]
name = "broken"

[apps.broker]
app = "broker"
[[apps.broker.workers]]
name = "broker"

[apps.options]
app = "well"
[[apps.options.workers]]
name = "options"
options = ["--concurency=3"]
[apps.options.beat]
name = "clock"
options = ["--max-interval=soon"]

[apps.queues]
app = "declares"
[[apps.queues.workers]]
name = "queues"
queues = ["mail", "mial"]

[apps.undeclared]
app = "well"
[[apps.undeclared.workers]]
name = "undeclared"
queues = ["celery", "other"]
"""
MODULES = {
    "well": 'from celery import Celery\napp = Celery("well")\napp.conf.task_routes = {"send": {"queue": "mail"}}\n',
    "broken": "import decimal\n\n1 / 0\n",
    "broker": 'from celery import Celery\napp = Celery("broker", broker="nosuch://127.0.0.1")\n',
    "declares": "from celery import Celery\nfrom kombu import Queue\napp = Celery('d')\n"
    "app.conf.task_queues = [Queue('mail')]\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "signalbox.toml").write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setenv("SIGNALBOX_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("SIGNALBOX_KEY", "k" * 40)
    monkeypatch.setenv("SIGNALBOX_CONFIG", str(tmp_path / "signalbox.toml"))
    return tmp_path


def test_what_would_keep_a_process_from_working_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 2
    said = capsys.readouterr()
    found = dict(line.removeprefix("  ").split(": ", 2)[1:] for line in said.out.splitlines() if ": apps." in line)
    assert found.pop("apps.interpreter.python") == f"there is no interpreter '{folder}/no/python'; correct `python`"
    assert "did not come to its end" in found.pop("apps.bare")
    assert found.pop("apps.absent") == f"there is no module 'nowhere' in {folder}: correct `app` or `directory`"
    assert f"ZeroDivisionError: division by zero; {folder}/broken.py, line 3" in found.pop("apps.broken")
    assert found.pop("apps.broker").startswith("its broker cannot be spoken to: KeyError: 'No such transport: nosuch")
    assert "No such option '--concurency'" in found.pop("apps.options.options")
    assert "max-interval" in found.pop("apps.options.clock")
    declared = "the queue 'mial' is not among those that the application declares"
    assert found.pop("apps.queues.queues").startswith(declared)
    assert found.pop("apps.undeclared.undeclared").startswith("the queue 'other' is named nowhere in the application")
    assert found == {}
    assert "8 errors, as listed" in said.err


def test_a_configuration_that_works_is_let_pass_with_what_to_know(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONFIGURATION.partition("[apps.interpreter]")[0]
    (folder / "signalbox.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:1/0")
    assert main(["--check"]) == 0
    said = capsys.readouterr().out
    assert "error" not in said
    assert "BROKER_URL: not passed on to Celery" in said
