"""Whatever happens to tasks, and however it is told, the fold shows what is so: driven step by step by Hypothesis."""

import pytest

from support.examples import LONG, examples, expect_no_fault
from support.table import Table
from support.task_machine import TaskMachine


class Folding(TaskMachine):
    def __init__(self) -> None:
        self.table = Table()
        super().__init__(self.table)

    def check(self) -> None:
        super().check()
        self._no_order_no_repetition_and_no_grouping_changes_it()

    def _no_order_no_repetition_and_no_grouping_changes_it(self) -> None:
        at_once = Table()
        at_once.write(sorted(self.heard(), key=lambda event: event.at))
        at_once.merge(self.table.inferred)
        assert (at_once.tasks(), at_once.logs()) == (self.table.tasks(), self.table.logs())


@pytest.mark.timeout(LONG)
def test_whatever_happens_and_however_it_is_told_the_fold_shows_what_is_so() -> None:
    expect_no_fault(Folding, examples(400))
