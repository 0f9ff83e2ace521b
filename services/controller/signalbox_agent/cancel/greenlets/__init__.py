"""Killing a greenlet of the gevent and eventlet pools."""

from signalbox_agent.cancel.pool import Abilities

ABILITIES = Abilities(takes_turns=True)
