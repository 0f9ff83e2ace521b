"""Admission of external workers, and their names: pure."""

from collections.abc import Collection

from signalbox_controller.agents.protocol import Hello
from signalbox_controller.linux.peers import Peer


def refusal(hello: Hello, peer: Peer, *, uid: int) -> str:
    """Why a worker is refused; empty when it is admitted.

    Args:
        hello: the first line of its agent.
        peer: its process, by the kernel.
        uid: the controller's own user.
    """
    if peer.uid not in {0, uid}:
        return f"it runs as user {peer.uid}; only workers of root and of the controller's own user ({uid}) may join"
    if peer.pid != hello.pid:
        return "it is in another pid namespace, where its processes cannot be watched: let the two share one"
    if not hello.node:
        return "it has no node name: only workers may join"
    return ""


def name_for(node: str, pid: int, taken: Collection[str]) -> str:
    """The name of a worker on this host: the first half of its node name, with its pid when that name is taken."""
    name = node.partition("@")[0]
    return f"{name}-{pid}" if name in taken else name
