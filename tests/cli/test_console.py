"""What names in the data can do to a terminal: nothing."""

import io
import json
import logging
import warnings

import pytest
from rich.console import Console

from tfautolabel import _progress
from tfautolabel.cli import console
from tfautolabel.serving.logs import JsonLines

EVIL = "\x1b]0;owned\x07\x1b[31m[red]\r\x9b2J\u202egpj.exe\nerror: none"
SHOWN = r"\x1b]0;owned\x07\x1b[31m[red]\r\x9b2J\u202egpj.exe\nerror: none"


@pytest.mark.parametrize("way", ["say", "remark", "show", "cell", "header", "warning"])
def test_a_name_is_shown_and_not_obeyed(way, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    if way == "say":
        console.say(f"error: {EVIL}", style="red")
    elif way == "remark":
        console.remark(quiet=False)(EVIL)
    elif way == "show":
        console.show(EVIL)
    elif way in ("cell", "header"):
        made = console.table(EVIL if way == "header" else "name", "count")
        made.add_row(*console.row(EVIL, 3))
        console.show(made)
    else:
        with warnings.catch_warnings():
            monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
            console.show_warnings_plainly()
            warnings.showwarning(UserWarning(EVIL), UserWarning, "", 0)
    said = "".join(capsys.readouterr())
    assert SHOWN in said
    assert not set("\x1b\x07\r\x9b\u202e") & set(said)


def test_a_bar_shows_its_description_as_it_is(monkeypatch):
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(_progress, "Console", lambda **_: terminal)
    with _progress.progress_of(3, EVIL) as advance:
        advance(1)
    assert SHOWN in stream.getvalue()
    assert "\x1b]0" not in stream.getvalue()


def test_what_cannot_be_counted_says_what_is_done(monkeypatch):
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr(_progress, "Console", lambda **_: terminal)
    with _progress.working("checking the model"):
        pass
    assert "checking the model" in stream.getvalue()
    before = stream.getvalue()
    with _progress.working("checking the model", enabled=False):
        pass
    assert stream.getvalue() == before


@pytest.mark.parametrize("enabled", [True, False])
def test_a_search_in_a_pipe_prints_lines(monkeypatch, enabled):
    stream = io.StringIO()
    monkeypatch.setattr(_progress, "Console", lambda **_: Console(file=stream, width=20))
    moments = iter([0.0, 1.0, 2.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(moments))
    with _progress.progress_of(5, "trials of heads that are tried", enabled, lines=True) as advance:
        for count in (0, 1, 2, 1, 1):
            advance(count)
    said = stream.getvalue().splitlines()
    lines = [f"trials of heads that are tried: {done} of 5 done" for done in (3, 5)]
    assert said == (lines if enabled else [])


def test_a_line_of_the_log_is_one_line_for_terminals_too():
    line = JsonLines().format(logging.makeLogRecord({"msg": EVIL, "model": EVIL}))
    assert not set("\x1b\x07\r\n\x9b\u202e") & set(line)
    assert json.loads(line)["model"] == EVIL


@pytest.mark.parametrize("length", [10, 120])
def test_words_of_a_table_are_not_cut(capsys, monkeypatch, length):
    monkeypatch.setenv("COLUMNS", "80")
    name = "/".join(["folder"] * (length // 7))
    lines = console.table("source", "LogME", "remark", whole={"source"})
    lines.add_row(*console.row(name, "-0.23", "several words that may stand below each other " * 2))
    console.show(lines)
    head, first, *rest = capsys.readouterr().out.splitlines()
    assert head.split() == ["source", "LogME", "remark"]
    assert first.split()[:2] == [name, "-0.23"]
    assert rest, "the remark goes on in the next line"
