"""Who may speak for a process that we launched, and what is said of one that runs in an odd place."""

import os

import pytest

from signalbox_agent.proc import Proc, identify
from signalbox_controller.agents.admission import ANOTHER_NAMESPACE, FORKS, checked, speaks_for
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.linux.peers import Peer

MAIN, CHILD = Proc(7, 100), Proc(8, 200)


@pytest.mark.parametrize(
    ("pid", "peer", "error", "missing"),
    [
        (7, Peer(7, 0, MAIN), "", []),
        (8, Peer(8, 0, CHILD), "", [FORKS]),
        (1, Peer(7, 0, MAIN), ANOTHER_NAMESPACE, []),
        (1, Peer(8, 0, CHILD), ANOTHER_NAMESPACE, []),
    ],
)
def test_what_the_place_of_a_process_limits_is_said(pid: int, peer: Peer, error: str, missing: list[str]) -> None:
    seen = checked(Hello(instance="i", pid=pid, kind="worker"), peer, MAIN)
    assert (seen.error, seen.missing) == (error, missing)


def test_only_the_main_process_of_a_launch_and_what_it_has_started_may_speak_for_it() -> None:
    us, above = identify(os.getpid()), identify(os.getppid())
    assert us is not None
    peer = Peer(us.pid, os.getuid(), us)
    assert speaks_for(us, peer)
    assert speaks_for(above, peer)
    assert not speaks_for(Proc(us.pid, us.started + 1), peer), "its pid was given to us since"
    assert not speaks_for(None, peer), "nothing is launched yet"
    assert not speaks_for(us, Peer(us.pid, os.getuid())), "the kernel does not know it any more"
