"""What is redacted, and which patterns are refused."""

import json
import logging
import re
from pathlib import Path

import pytest

from signalbox_agent.tasks.privacy import LINE_LIMIT, PRIVACY, hides_arguments, redact, redact_log
from signalbox_agent.tasks.texts import LIMIT, private
from signalbox_controller.config.patterns import refused_pattern
from signalbox_controller.config.settings import load
from signalbox_controller.errors import ConfigurationError


@pytest.mark.parametrize(
    "pattern",
    ["(?i)password=[^,)]*", r"(\d{4}-){3}\d{4}", r"\bsk_[a-z]+_\w{8,64}", "(?:a|b)?c+", "token=.*?;", "(?:foo|bar)=x"],
)
def test_patterns_that_are_taken(pattern: str) -> None:
    assert refused_pattern(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "is not a regular expression: missing )"),
        ("x*", "matches an empty text"),
        ("(a+)+$", "repeats something that itself repeats"),
        ("(a|ab)*c", "repeats something that itself repeats"),
        ("(?=(a*)*b)c", "repeats something that itself repeats"),
        ("(a?){30}a", "repeats something that itself repeats"),
        ("x" * 501, "has 501 characters"),
    ],
)
def test_patterns_that_are_refused_say_why(pattern: str, why: str, tmp_path: Path) -> None:
    assert why in refused_pattern(pattern)
    file = tmp_path / "signalbox.toml"
    file.write_text(f"[apps.shop]\napp = 'shop'\n[apps.shop.privacy]\nredact = ['{pattern}']\n")
    with pytest.raises(ConfigurationError, match=rf"apps\.shop\.privacy\.redact: the pattern .*{re.escape(why)}"):
        load(file)


def rules(monkeypatch: pytest.MonkeyPatch, *patterns: str, hide: bool = False) -> None:
    monkeypatch.setenv(PRIVACY, json.dumps({"hide_arguments": hide, "redact": patterns}))


def test_nothing_is_redacted_without_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRIVACY, raising=False)
    assert redact("password=x") == "password=x"
    assert not hides_arguments()


def test_each_match_in_each_line_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    rules(monkeypatch, "(?i)password=[^,)]*", "[0-9]{16}")
    assert redact("a(Password=x, 1234567812345678)\npassword=y") == "a([redacted], [redacted])\n[redacted]"


def test_a_match_that_the_limit_of_the_text_would_cut_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    rules(monkeypatch, "secret-[a-z]+-end")
    text = "x" * (LIMIT - 10) + "secret-" + "a" * 50 + "-end"
    assert "secret" not in private(text)


def test_the_rest_of_a_long_line_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rules(monkeypatch, "secret")
    assert redact("y" * LINE_LIMIT + "secret\nsecret") == "y" * LINE_LIMIT + "…\n[redacted]"


@pytest.mark.parametrize("broken", ["{", '{"redact": ["("]}', '{"redact": 1}', "[]"])
def test_rules_that_cannot_be_read_withhold_everything(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRIVACY, broken)
    assert (redact("password=x"), redact(""), hides_arguments()) == ("[redacted]", "", True)


def test_a_traceback_in_a_log_is_redacted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules(monkeypatch, "password=\\w+")
    logger, file = logging.getLogger("signalbox.test_privacy"), tmp_path / "log"
    handler = logging.FileHandler(file)
    logger.addHandler(handler)
    redact_log(logger)
    redact_log(logger)
    try:
        raise_it("password=x")
    except ValueError:
        logger.exception("failed with password=%s", "y")
    logger.removeHandler(handler)
    handler.close()
    text = file.read_text()
    assert text.startswith("failed with [redacted]\n")
    assert text.endswith("ValueError: [redacted]\n")
    assert "password" not in text.replace('raise_it("[redacted]")', "")


def raise_it(text: str) -> None:
    raise ValueError(text)
