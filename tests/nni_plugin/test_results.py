"""The Pareto front: who is on it, and how it is written down."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.image import imread

from nas_proxy.nni_plugin.results import front_of, write_csv, write_plot
from nas_proxy.search import Evaluated
from nas_proxy.spaces import get_space
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.search import front_page

RESULTS = [
    Evaluated("slow and good", 90.0, {"phone": 8.0, "board": 3.0}),
    Evaluated("fast and bad", 60.0, {"phone": 1.0, "board": 4.0}),
    Evaluated("beaten", 59.0, {"phone": 1.5, "board": 4.5}),
    Evaluated("good for one", 70.0, {"phone": 9.0, "board": 1.0}),
]


def test_front_is_that_of_all_targets() -> None:
    front = [result.arch for result in front_of(RESULTS, ["phone", "board"])]
    assert front == ["fast and bad", "slow and good", "good for one"]
    assert [result.arch for result in front_of(RESULTS, ["phone"])] == ["fast and bad", "slow and good"]
    assert front_of([], ["phone"]) == []
    assert [result.arch for result in front_of(RESULTS, ["phone"], {"phone": 2.0})] == ["fast and bad"]


def test_csv_and_table(tmp_path: Path, capsys) -> None:
    front = front_of(RESULTS, ["phone", "board"])
    path = write_csv(tmp_path / "results.csv", get_space("nasbench201"), RESULTS, front, ["phone", "board"])
    rows = list(csv.DictReader(path.read_text().splitlines()[1:]))
    assert path.read_text().startswith("# space: nasbench201\n")
    assert [row["on_front"] for row in rows] == ["1", "1", "0", "1"]
    assert float(rows[0]["predicted_latency_ms_board"]) == 3.0
    Terminal().show(front_page(front, ["phone", "board"]))
    assert "phone [ms]" in capsys.readouterr().out


def test_plot_has_a_panel_for_each_target(tmp_path: Path) -> None:
    one = imread(write_plot(tmp_path / "one.png", RESULTS, ["phone"], {"phone": 5.0}, "search"))
    two = imread(write_plot(tmp_path / "two.png", RESULTS, ["phone", "board"], {}, "search"))
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] == 2 * one.shape[1]
