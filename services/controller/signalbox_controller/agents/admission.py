"""Admission of agents: who speaks for a process, by what the kernel says of the other end, not by its own word."""

import msgspec

from signalbox_agent.proc import Proc
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.linux.peers import Peer, descends

#: Why nothing can be proven of a worker whose pids are not ours.
ANOTHER_NAMESPACE = (
    "it is in another pid namespace, where its processes cannot be watched: let the two share one"
    " (in Kubernetes shareProcessNamespace, with Docker --pid)"
)
#: What a person should know of a worker whose main process is not Celery's.
FORKS = (
    "its `command` starts the interpreter as a child, and gets the signals of a stop itself; use one that executes it"
    " in its own place"
)


def speaks_for(main: Proc | None, peer: Peer) -> bool:
    """Whether the peer is the main process of a launch, or was started by it."""
    return main is not None and peer.proc is not None and descends(peer.proc, main)


def checked(hello: Hello, peer: Peer, main: Proc | None) -> Hello:
    """The hello of an agent that may speak for this main process, with what its place in the process table limits."""
    if hello.pid != peer.pid:
        return msgspec.structs.replace(hello, error=ANOTHER_NAMESPACE)
    if peer.proc != main:
        return msgspec.structs.replace(hello, missing=[*hello.missing, FORKS])
    return hello
