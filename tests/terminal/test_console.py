"""What a command prints goes where it should, at the width of an ordinary terminal, and as one JSON object."""

from __future__ import annotations

import json
import math

import pytest

from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.tables import Column, Drawing, Page, Table, to_json

COLUMNS = [Column("arch", "architecture"), Column("ms", "latency [ms]", ".2f"), Column("hidden", None)]
LONG = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"


def page(*rows) -> Page:
    table = Table("found", COLUMNS, rows, "the [b]best[/b]")
    return Page([table, Drawing("▁▂▃"), "a note of [target]"], {"n": len(rows)})


def test_a_table_of_long_words_is_broken_at_80_columns_and_nothing_is_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    Terminal().show(page([LONG, 1.234, "x"]))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert LONG in "".join(shown.replace("1.23", "").split())
    assert "1.23" in shown
    assert "…" not in shown


def test_what_is_shown_is_never_markup(capsys):
    Terminal().show(page(["[red]x[/]", 1.0, None]))
    shown = capsys.readouterr().out
    for words in ("the [b]best[/b]", "[red]x[/]", "a note of [target]", "latency [ms]"):
        assert words in shown


def test_json_has_hidden_columns_and_facts_and_no_drawings(capsys):
    Terminal(as_json=True).show(page(["a", math.nan, {"k": (1, 2)}]))
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "n": 1,
        "found": [{"arch": "a", "ms": None, "hidden": {"k": [1, 2]}}],
        "notes": ["a note of [target]"],
    }


def test_json_of_a_page_is_the_same_twice_and_facts_come_before_the_rows_of_a_table():
    facts = {"found": [{"arch": "first"}]}
    both = Page([Table("found", COLUMNS, [["a", 1.0, 0]])], facts)
    assert to_json(both) == to_json(both)
    assert [row["arch"] for row in json.loads(to_json(both))["found"]] == ["first", "a"]
    assert facts == {"found": [{"arch": "first"}]}


def test_words_that_are_data_elsewhere_are_broken_on_the_terminal_and_not_in_json(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    words = Page([Drawing("good enough to choose by it", wraps=True)])
    Terminal().show(words)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert json.loads(to_json(words)) == {"notes": []}


def test_pages_are_merged_into_one_object(capsys):
    terminal = Terminal(as_json=True)
    with terminal.merged():
        terminal.show(page(["a", 1.0, 0]))
        assert not capsys.readouterr().out
        terminal.show(page(["b", 2.0, 0]))
    assert [row["arch"] for row in json.loads(capsys.readouterr().out)["found"]] == ["a", "b"]


def test_words_leave_standard_output_to_results(capsys):
    for terminal in (Terminal(taken=True), Terminal(as_json=True)):
        terminal.say("done")
        with terminal.progress("working") as on_progress:
            on_progress(1, 2)
        printed = capsys.readouterr()
        assert not printed.out
        assert "done" in printed.err
        assert "working" in printed.err


def test_no_empty_line_is_before_an_error(capsys):
    terminal = Terminal()
    for done in ([], [0, 1]):
        with terminal.progress("working") as on_progress:
            for each in done:
                on_progress(each, 2)
        terminal.fail("no")
        printed = capsys.readouterr().err.splitlines()
        assert printed[-1] == "error: no"
        assert len(printed) == (2 if done else 1)


def test_words_keep_their_colons(capsys):
    Terminal().fail("mapper .:x: no such module")
    assert ".:x:" in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet_is_silent_but_for_results_warnings_and_errors(capsys, quiet):
    terminal = Terminal(quiet=quiet)
    terminal.say("done")
    with terminal.bars() as bar:
        bar("one", 1, 2, "a note")
        bar("two", 0, 3)
    terminal.warn("careful")
    terminal.fail("no [file]")
    terminal.show(page())
    printed = capsys.readouterr()
    assert ("done" in printed.out, "one" in printed.err, "a note" in printed.err) == (not quiet,) * 3
    assert "careful" in printed.err
    assert "error: no [file]" in printed.err
    assert "best" in printed.out
