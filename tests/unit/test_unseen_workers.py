"""Celery workers that no agent speaks for, found in the process table, and what the doctor says of them."""

import pytest

from signalbox.local.protocol import Unseen, UnseenWorker
from signalbox_cli.commands.checks import unseen_check
from signalbox_controller.external.unseen import is_worker


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/srv/bin/python /srv/bin/celery -A shop worker -n w@h", True),
        ("python -m celery -A shop worker", True),
        ("python -m celery --app=shop -b redis://x --no-color worker -c 2", True),
        ("celery -Ashop -q worker", True),
        ("python -m signalbox_agent -A shop worker -n w@h", True),
        ("nice -n 5 /srv/bin/python /srv/bin/celery worker -A shop", True),
        ("celery -A worker beat", False),
        ("celery -A shop inspect ping -d worker", False),
        ("python -m celery -A shop beat", False),
        ("python -m signalbox_agent -A shop beat", False),
        ("python worker.py celery", False),
        ("tail -f celery worker.log", False),
        ("celery", False),
        ("", False),
    ],
)
def test_a_worker_is_known_by_its_command_line(line: str, found: bool) -> None:
    assert is_worker(line.split()) == found


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("[celeryd: w@h:MainProcess] -active- (worker -A shop)", True),
        ("[celeryd: w@h:ForkPoolWorker-1]", False),
        ("[celery beat]", False),
    ],
)
def test_and_by_the_title_that_it_gives_itself(title: str, found: bool) -> None:
    assert is_worker([title]) == found


def test_the_doctor_lists_them_with_the_reason_and_says_when_there_are_none_and_nothing_where_nobody_looked() -> None:
    one = UnseenWorker(pid=7, command="celery worker", reason="its PYTHONPATH does not name /d/guest")
    (check,) = unseen_check(Unseen(workers=(one,)), "/d/guest")
    assert (check.ok, check.note) == (True, True)
    assert "pid 7 (celery worker): its PYTHONPATH does not name /d/guest" in check.detail
    assert "PYTHONPATH=/d/guest" in check.advice
    (check,) = unseen_check(Unseen(), "/d/guest")
    assert (check.ok, check.note) == (True, False)
    assert list(unseen_check(None, "/d/guest")) == []
