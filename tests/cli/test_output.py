"""Where results go: standard output as a file or as JSON, and nothing else there; words only where they are wanted."""

from __future__ import annotations

import json
import logging

import pytest
from typer.testing import CliRunner

from nas_proxy import __version__
from nas_proxy.cli import app
from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.spaces import get_space, space_text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``proxy.csv`` and ``target.csv`` of small NAS-Bench-201 cells, and ``net.onnx`` with open height and width."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("output")
    space = get_space("nasbench201")
    for name, n, seed, power in (("proxy", 60, 0, 1.0), ("target", 20, 1, 0.8)):
        archs = space.sample(n, seed)
        macs = space.features(archs)[:, space.feature_names.index("live_macs")]
        table = LatencyTable("nasbench201", tuple(archs), (name,), (0.1 + (macs / macs.max()) ** power)[:, None])
        table.to_csv(folder / f"{name}.csv")
    small = get_space("nasbench201", cells=1, image_size=8)
    archs = "\n".join(small.to_str(arch) for arch in small.sample(2, seed=0))
    (folder / "small.csv").write_text(f"# space: {space_text(small)}\narch\n{archs}\n")
    value = onnx.helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, ["N", 3, "H", "W"]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "net.onnx")
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def invoke(command: str):
        before = set(folder.iterdir())
        result = CliRunner().invoke(app, command.split())
        assert set(folder.iterdir()) == before, "the command has left a file"
        return result

    return invoke


@pytest.mark.parametrize(
    ("command", "heading"),
    [
        ("rank --proxy proxy.csv --target target.csv -o -", "arch,predicted_latency_ms_target,std_latency_ms_target"),
        ("adapt --proxy proxy.csv --target target.csv -o -", "arch,predicted_latency_ms_target,std_latency_ms_target"),
        ("suggest --proxy proxy.csv -n 5 -o -", "arch,latency_ms"),
        (
            "measure --space nasbench201 -p cells=1 -p image_size=8 -n 2 --device edge-tpu -o -",
            "arch,latency_ms,device",
        ),
    ],
)
def test_a_dash_is_standard_output_and_nothing_else_is_there(run, command, heading):
    result = run(command)
    assert result.exit_code == 0, result.output
    space, columns, *rows = result.stdout.splitlines()
    assert space.startswith("# space: nasbench201")
    assert columns.startswith(heading)
    assert all(row.startswith("|") for row in rows)
    assert result.stderr


def test_a_model_on_standard_output(run):
    import onnx

    result = run("optimise net.onnx --shape x=1,3,8,8 --for macs+bytes --evaluations 5 -o -")
    assert result.exit_code == 0, result.output
    assert [node.op_type for node in onnx.load_model_from_string(result.stdout_bytes).graph.node] == ["Relu"]


@pytest.mark.parametrize("command", ["export --space nasbench201 -n 1 -o -", "compress respect --sweep -o -"])
def test_a_folder_is_not_written_to_standard_output(run, command):
    result = run(command)
    assert isinstance(result.exception, InputError)
    assert "give a folder's name" in str(result.exception)


def test_two_results_do_not_share_standard_output(run):
    result = run("rank --proxy proxy.csv --target target.csv -o - --json")
    assert isinstance(result.exception, InputError)
    assert "not both" in str(result.exception)


@pytest.mark.parametrize(
    ("command", "table", "names"),
    [
        ("list", "kinds", {"kind", "description", "names"}),
        ("list spaces", "spaces", {"name", "description", "options"}),
        ("list spaces nasbench201", "options", {"option", "default", "type", "description"}),
        ("rank --proxy proxy.csv --target target.csv", "ranking", {"predicted_latency_ms", "arch"}),
        ("adapt --proxy proxy.csv --target target.csv", "targets", {"target", "proxy", "kendall_tau", "verdict"}),
        ("inspect net.onnx --shape x=1,3,8,8", "operators", {"node", "operator", "shape", "macs"}),
        ("schedule net.onnx --shape x=1,3,8,8", "stages", {"stage", "ms", "nodes"}),
        ("map --layer fc:8x8 --budget 20 --mapper random", "energy", {"part", "energy_uj", "share"}),
        ("evaluate small.csv --target edge-tpu --no-rewriting", "finalists", {"arch", "latency_ms", "all"}),
    ],
)
def test_json_has_what_the_table_shows(run, monkeypatch, command, table, names):
    monkeypatch.setenv("COLUMNS", "300")
    result = run(f"{command} --json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)[table]
    assert rows
    assert all(names <= set(row) for row in rows)
    shown = run(command)
    assert shown.exit_code == 0
    for row in rows:
        cells = [value for value in row.values() if isinstance(value, str) and len(value) < 60]
        assert all(cell in shown.stdout for cell in cells)


def test_quiet_leaves_the_result(run):
    command = "measure --space nasbench201 -p cells=1 -p image_size=8 -n 1 --device edge-tpu -o -"
    loud, quiet = run(command), run(f"-q {command}")
    assert quiet.exit_code == loud.exit_code == 0
    assert quiet.stdout == loud.stdout
    assert "measured on edge-tpu" in loud.stderr
    assert not quiet.stderr


@pytest.mark.parametrize(("options", "level"), [("", "WARNING"), ("-q", "ERROR"), ("-v", "INFO"), ("-vv", "DEBUG")])
def test_logging_goes_to_standard_error_from_one_level_on(run, options, level):
    result = run(f"{options} list spaces")
    assert result.exit_code == 0
    assert logging.getLevelName(logging.getLogger("nas_proxy").level) == level
    assert not result.stderr


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("map --layer gemm:8x8x8 --budget 20 --mapper random", "mapped by random: 20 of 20 evaluations"),
        ("schedule net.onnx --shape x=1,3,8,8 --scheduler dp", "scheduled on edge-tpu-x4 by dp: 1 units, 4 stages"),
        ("optimise net.onnx --shape x=1,3,8,8 --for macs+bytes --rewriter greedy -o -", "rewritten by greedy: 0 eval"),
    ],
)
def test_a_search_is_logged_in_one_line(run, command, line):
    result = run(f"-v {command}")
    assert result.exit_code == 0, result.output
    [logged] = [said for said in result.stderr.splitlines() if said.startswith("INFO")]
    assert line in logged


def test_the_hook_is_removed_in_json_too(run, monkeypatch):
    doctor = pytest.importorskip("nas_proxy.nni_plugin.doctor")
    monkeypatch.setattr(doctor, "remove_hook", lambda: True)
    found = json.loads(run("doctor --remove-hook --json").stdout)
    assert found == {"hook_removed": True, "notes": ["The torchvision hook is removed."]}


def test_a_verdict_is_in_json_once(run):
    found = run("adapt --proxy proxy.csv --target target.csv --json").stdout
    assert found.count(json.loads(found)["targets"][0]["verdict"]) == 1


def test_version_and_help(run):
    assert run("--version").stdout == f"nas-proxy {__version__}\n"
    assert run("-h").stdout == run("--help").stdout
    assert run("measure -h").exit_code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("measure --device edge-tpu-x", {"edge-tpu-x2", "edge-tpu-x4", "edge-tpu-x8"}),
        ("measure --space nas", {"nasbench201"}),
        ("map --mapper genetic", {"genetic", "genetic-with-critic"}),
        ("schedule --scheduler resp", {"respect", "respect-small", "respect-published"}),
        ("optimise --rewriter gr", {"greedy"}),
        ("run quick", {"quickstart"}),
        ("list mapp", {"mappers"}),
        ("list spaces fb", {"fbnet"}),
        ("evaluate --objective e", {"edp", "energy"}),
        ("measure --backend l", {"loky"}),
    ],
)
def test_completion_knows_names(words, expected):
    environment = {"_NAS_PROXY_COMPLETE": "complete_bash", "COMP_WORDS": f"nas-proxy {words}"}
    environment["COMP_CWORD"] = str(len(words.split()))
    result = CliRunner().invoke(app, [], env=environment, prog_name="nas-proxy")
    assert set(result.stdout.split()) == expected
