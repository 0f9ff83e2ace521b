"""How many examples the property tests try, and which."""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

#: The variable that has more of them tried: with 50, fifty times as many.
VARIABLE = "SIGNALBOX_EXAMPLES"
#: Seconds for a test that may have to make a failure small, or to try many examples.
LONG = 3600


def examples(number: int, *, steps: int = 50) -> settings:
    """So many examples, of so many steps where they have steps; `SIGNALBOX_EXAMPLES` multiplies them.

    In CI always the same ones, so that what is red there can be repeated: with `CI=true`. Nobody knows how fast the
    machine is, so none fails for taking long; the time-out of the whole test remains.
    """
    return settings(
        max_examples=number * int(os.environ.get(VARIABLE, "1")),
        stateful_step_count=steps,
        derandomize=bool(os.environ.get("CI")),
        deadline=None,
        # One failure, as small as can be, is found five times as fast without the rest.
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )


def expect_no_fault(make: Callable[[], RuleBasedStateMachine], tried: settings) -> None:
    """Drive machines, new ones for each example, through any steps that their rules allow; a fault fails the test."""
    run_state_machine_as_test(make, settings=tried)  # type: ignore[arg-type]  # it calls it, and nothing else
