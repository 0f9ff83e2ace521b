"""What a server says cannot act on the terminal: it is shown as what it is."""

import ast
import json
from pathlib import Path

import click
import pytest

from signalbox_cli.errors import Refused
from signalbox_cli.options import show_json
from signalbox_cli.output.table import plain, say, table
from signalbox_cli.visible import visible, visible_line

CLI = Path(__file__).parents[2] / "shared" / "signalbox_cli"
#: Each that acts, by its escape.
ACTING = {
    **{f"\\x{code:02x}": chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\n"},
    **{
        f"\\u{code:04x}": chr(code)
        for code in (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xD800)
    },
}
HARMLESS = "Größe 🚂 שלום 中文 a\u200db\u00a0c"


def test_each_character_that_acts_is_shown_as_its_escape() -> None:
    assert visible("".join(ACTING.values())) == "".join(ACTING)
    assert visible_line("".join(ACTING.values())) == "".join(ACTING)
    assert visible(HARMLESS) == HARMLESS


def test_a_newline_stays_only_in_a_text_of_several_lines() -> None:
    assert (visible("a\nb"), visible_line("a\nb"), plain("a\nb")) == ("a\nb", "a\\x0ab", "a\\x0ab")


def test_cells_and_what_is_said_are_visible(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07\u202eexe"
    shown = "\\x1b]0;owned\\x07\\u202eexe"
    say(hostile)
    Refused(hostile).show()
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"{shown}\n", f"{shown}\n")
    assert click.unstyle(table(["NAME"], [[hostile]])).splitlines()[1].strip() == shown


def test_json_holds_no_such_character_and_is_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "".join(text for text in ACTING.values() if text != "\ud800") + HARMLESS}
    show_json([value])
    out = capsys.readouterr().out
    assert json.loads(out) == [value]
    assert visible(out) == out


def test_only_the_output_prints() -> None:
    printing = {
        source.relative_to(CLI).as_posix()
        for source in CLI.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.echo", "print", "click.secho"}
    }
    assert printing == {"output/table.py", "errors.py", "commands/audit.py"}
