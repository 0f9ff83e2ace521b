"""`signalbox-controller`: what a person at a terminal sees of it."""

from pathlib import Path

import pytest

from signalbox_controller.__main__ import main

CONFIGURATION = """
[apps.shop]
app = "shop"
[[apps.shop.workers]]
name = "worker"
queues = ["mail", "celery"]
[apps.shop.beat]
"""
APPLICATION = """
from celery import Celery
app = Celery("shop")
app.conf.task_routes = {"shop.send": "mail"}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "signalbox.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    (tmp_path / "shop.py").write_text(APPLICATION, encoding="utf-8")
    monkeypatch.setenv("SIGNALBOX_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("SIGNALBOX_KEY", "k" * 40)
    monkeypatch.setenv("SIGNALBOX_CONFIG", str(path))
    monkeypatch.setenv("SIGNALBOX_HOSTNAME", "web-01")
    return path


@pytest.mark.usefixtures("file")
def test_check_shows_what_would_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == (
        "web-01: 2 processes\n  worker (worker of shop) consumes mail, celery with 4 × prefork\n  beat (beat of shop)\n"
    )


def test_check_says_so_where_the_application_chooses_the_queues(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(CONFIGURATION.replace('queues = ["mail", "celery"]', ""), encoding="utf-8")
    assert main(["--check"]) == 0
    assert "worker (worker of shop) consumes the queues of its application with 4 × prefork" in capsys.readouterr().out


def test_check_names_a_mistake_and_fails(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(CONFIGURATION.replace("queues", "queue"), encoding="utf-8")
    assert main(["--check"]) == 2
    assert "apps.shop.workers[0] has a key 'queue'" in capsys.readouterr().err


def test_a_missing_setting_is_named_too(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.exists()
    monkeypatch.delenv("SIGNALBOX_KEY")
    assert main(["--check"]) == 2
    assert "SIGNALBOX_KEY" in capsys.readouterr().err


def test_help_says_what_it_is_told_by(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "SIGNALBOX_ON_EXIT" in capsys.readouterr().out


def test_the_file_names_the_host_unless_the_environment_does(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('host = "db-07"\n' + CONFIGURATION, encoding="utf-8")
    main(["--check"])
    monkeypatch.delenv("SIGNALBOX_HOSTNAME")
    main(["--check"])
    assert [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")] == [
        "web-01: 2 processes",
        "db-07: 2 processes",
    ]
