"""Ages as people write them: `90s`, `15m`, `2h`, `1d`; plain numbers are seconds."""

import re

import click

_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Age(click.ParamType):  # type: ignore[type-arg]
    """Age in an option, as a number of seconds."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds that `value` stands for."""
        if isinstance(value, float):
            return value
        found = _FORM.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no age; write it like 90s, 15m, 2h or 1d.", param, ctx)
        return float(found["number"]) * _SECONDS[found["unit"]]


AGE = Age()
