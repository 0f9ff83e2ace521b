"""A Celery that has renamed what the agent uses: its tasks run as ever, and what is off is said."""

import os
from pathlib import Path

import pytest

from signalbox_agent.celery_compat.names import PREFORK_NAMES, REDIS_NAMES, WORKER_NAMES
from support.agent.peer import Peer
from support.agent.worker import a_worker
from support.celery_versions.probe import CHECKS
from support.celery_versions.renamed import rename
from support.stores.server import Redis

#: Not renamed by any release without a word: users call or override them.
PUBLIC = {"revoked", "on_success", "on_failure", "on_accepted", "append"}
#: `all` tries every name that the agent knows; minutes.
EVERY = os.environ.get("SIGNALBOX_RENAMED") == "all"
#: Each once took down the worker, left it without an agent, or left a cancel without an answer.
SOME = (
    "_already_revoked",
    "update_strategies",
    "maintain_pool",
    "terminate_job",
    "ExceptionWithTraceback",
    "_pool",
    "semaphore",
)
ALL = tuple(dict.fromkeys(one.name for one in [*WORKER_NAMES, *PREFORK_NAMES, *REDIS_NAMES] if one.name not in PUBLIC))
NAMES = ALL if EVERY else SOME


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_gone_costs_a_feature_and_never_a_task(redis: Redis, tmp_path: Path, name: str) -> None:
    packages = rename(name, tmp_path / "packages")
    peer = Peer(tmp_path / "socket")
    with a_worker(peer, redis.url_of(2), tmp_path / "log", "-c", "2", "--purge", packages=packages) as worker:
        running = worker.send("nap")
        assert peer.answer(peer.cancel(running))["state"] in {"unsupported", "unknown", "dropped", "dead"}
        done = worker.send("nap", 0.0)
        assert worker.result(done) == 0.0
        assert worker.process.poll() is None
        assert any(name in sentence for sentence in peer.line("hello")["missing"])
        assert f"`, `{name}" in worker.log() or f".{name}`" in worker.log()
    peer.close()


def test_the_agent_passes_its_own_checks_and_says_nothing(redis: Redis, tmp_path: Path) -> None:
    peer = Peer(tmp_path / "socket")
    with a_worker(peer, redis.url_of(3), tmp_path / "log", "-c", "2", "--purge") as worker:
        for check in CHECKS:
            check(worker)
    assert peer.line("hello")["missing"] == []
    peer.close()
