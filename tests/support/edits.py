"""Edits of signalbox.toml at random: workers are added, renamed, removed, doubled, moved, and given other options."""

import dataclasses
from collections.abc import Callable
from random import Random

#: Two applications: their label in the file, their module, and its folder.
APPLICATIONS = {"shop": ("shop", "{examples}"), "crm": ("daemons", "{apps}")}
#: Names for workers; few, so that an edit often takes one that was used before.
NAMES = ("w1", "w2", "w3", "w4")
#: Workers that stand in the file at once, at most.
MOST = 3


@dataclasses.dataclass
class File:
    """A signalbox.toml: by application, the concurrency of each of its workers."""

    workers: dict[str, dict[str, int]]

    @property
    def text(self) -> str:
        """The file, with the folders still to be filled in."""
        return "".join(self._application(label) for label in APPLICATIONS if self.workers[label])

    def _application(self, label: str) -> str:
        app, directory = APPLICATIONS[label]
        lines = [f"[apps.{label}]", f'app = "{app}"', f'directory = "{directory}"', f"[apps.{label}.environment]"]
        lines.append('SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"')
        for name, concurrency in self.workers[label].items():
            lines += [f"[[apps.{label}.workers]]", f'name = "{name}"', 'pool = "solo"', f"concurrency = {concurrency}"]
        return "\n".join([*lines, ""])

    def edit(self, random: Random) -> str:
        """Change something at random; answer what, in words."""
        edits: list[Callable[[Random], str]] = [self._rename, self._move, self._tune]
        edits += [self._remove] if self._count > 1 else []
        edits += [self._add, self._double] if self._count < MOST else []
        return random.choice(edits)(random)

    @property
    def _count(self) -> int:
        return sum(map(len, self.workers.values()))

    def _one(self, random: Random) -> tuple[str, str]:
        return random.choice([(label, name) for label, names in self.workers.items() for name in names])

    def _free(self, random: Random, label: str) -> str:
        return random.choice([name for name in NAMES if name not in self.workers[label]])

    def _rename(self, random: Random) -> str:
        label, name = self._one(random)
        new = self._free(random, label)
        self.workers[label][new] = self.workers[label].pop(name)
        return f"{label}.{name} is {new} now"

    def _move(self, random: Random) -> str:
        label, name = self._one(random)
        other = next(one for one in APPLICATIONS if one != label)
        self.workers[other][name] = self.workers[label].pop(name)
        return f"{label}.{name} moved to {other}"

    def _tune(self, random: Random) -> str:
        label, name = self._one(random)
        self.workers[label][name] += 1
        return f"{label}.{name} has another concurrency"

    def _remove(self, random: Random) -> str:
        label, name = self._one(random)
        del self.workers[label][name]
        return f"{label}.{name} is gone"

    def _add(self, random: Random) -> str:
        label = random.choice(list(APPLICATIONS))
        name = self._free(random, label)
        self.workers[label][name] = 1
        return f"{label}.{name} is new"

    def _double(self, random: Random) -> str:
        label, name = self._one(random)
        other = next(one for one in APPLICATIONS if one != label)
        self.workers[other].setdefault(name, 1)
        return f"{label}.{name} stands in {other}, too"
