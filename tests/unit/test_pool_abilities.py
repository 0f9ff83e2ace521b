"""What a pool can do is said by the pool; of an agent that is older than that, it is known by the pool's name."""

from dataclasses import asdict
from typing import Any

import msgspec
import pytest
from celery.concurrency import get_implementation
from celery.concurrency.base import BasePool

from signalbox_agent.cancel import pool as agent_pool
from signalbox_agent.cancel.pool import Abilities
from signalbox_controller.agents.protocol import Hello, abilities_of, decode
from signalbox_controller.cancelling.wording import WorkerAnswer, detail_of

#: By pool: whether one task can be ended, whether tasks and agent take turns, whether the agent answers while they run.
POOLS = [
    ("prefork", Abilities(cancels_one=True, takes_turns=False, answers_while_busy=True)),
    ("gevent", Abilities(cancels_one=True, takes_turns=True, answers_while_busy=False)),
    ("eventlet", Abilities(cancels_one=True, takes_turns=True, answers_while_busy=False)),
    ("threads", Abilities(cancels_one=False, takes_turns=False, answers_while_busy=False)),
    ("solo", Abilities(cancels_one=False, takes_turns=False, answers_while_busy=False)),
]
SAID = {"type": "hello", "instance": "i", "pid": 1, "kind": "worker"}


def hello(**more: object) -> Hello:
    line = decode(msgspec.json.encode(SAID | more))
    assert isinstance(line, Hello)
    return line


@pytest.mark.parametrize(("name", "can"), POOLS)
@pytest.mark.filterwarnings("ignore:.*monkey:RuntimeWarning", "ignore:.*[Ee]ventlet:DeprecationWarning")
def test_an_agent_says_what_its_pool_can_do(name: str, can: Abilities) -> None:
    pool = get_implementation(name)
    assert agent_pool.abilities_of(pool.__new__(pool)) == can


def test_a_pool_that_is_derived_from_one_of_celerys_is_that_pool() -> None:
    prefork, solo = get_implementation("prefork"), get_implementation("solo")
    for pool, name in ((prefork, "prefork"), (get_implementation("processes"), "prefork"), (solo, "solo")):
        derived = type("TaskPool", (pool,), {"__module__": "shop.pools"})
        one: Any = object.__new__(derived)
        assert (agent_pool.name_of(one), agent_pool.abilities_of(one)) == (name, dict(POOLS)[name])


def test_a_pool_of_nobodys_cannot_end_a_single_task_and_has_the_name_of_its_module() -> None:
    pool = type("Pool", (BasePool,), {"__module__": "shop.pools"})
    one: Any = object.__new__(pool)
    assert (agent_pool.name_of(one), agent_pool.abilities_of(one)) == ("pools", Abilities(cancels_one=False))


@pytest.mark.parametrize(("name", "can"), [*POOLS, ("", Abilities()), ("custom", Abilities())])
def test_of_an_older_agent_it_is_derived_from_the_name_of_its_pool(name: str, can: Abilities) -> None:
    assert abilities_of(hello(pool=name)) == can


@pytest.mark.parametrize(("name", "can"), POOLS)
def test_what_an_agent_says_of_its_pool_counts_and_not_the_name(name: str, can: Abilities) -> None:
    others = Abilities(not can.cancels_one, not can.takes_turns, not can.answers_while_busy)
    assert abilities_of(hello(pool=name, abilities=asdict(others))) == others


def test_an_ability_that_an_agent_does_not_know_is_what_may_be_assumed() -> None:
    assert abilities_of(hello(pool="solo", abilities={"takes_turns": True})) == Abilities(takes_turns=True)


@pytest.mark.parametrize(("can", "words"), [(Abilities(takes_turns=True), "keeps all else"), (Abilities(), "in time")])
def test_a_pool_that_no_one_here_has_met_is_worded_by_what_it_can_do(can: Abilities, words: str) -> None:
    assert words in detail_of(WorkerAnswer("w", "custom", can, "unproven"))
