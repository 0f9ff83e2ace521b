"""Killing a child of the prefork pool."""

from signalbox_agent.cancel.pool import Abilities

ABILITIES = Abilities(answers_while_busy=True)
