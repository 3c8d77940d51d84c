"""The core (spaces, data sets, graphs, ranking, search, report) works where neither NNI nor PyTorch can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = '''
import sys


class Blocked:
    """Neither NNI nor PyTorch, nor what needs PyTorch, is there."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("nni", "torch", "torchvision", "timm", "pytorch_lightning"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocked())

import importlib
import pickle
import pkgutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from run_folders import build_run

import nas_proxy
from nas_proxy.errors import MissingDependencyError
from nas_proxy.report import write_report

# what only builds or traces a network
TORCH = {"spaces._trace", "graph._aten", "graph._aten_operators"}
for package in ("spaces", "datasets", "graph", "ranking", "search", "report", "adapters"):
    home = importlib.import_module(f"nas_proxy.{package}")
    for module in pkgutil.walk_packages(home.__path__, f"{package}."):
        if package != "adapters" and module.name not in TORCH and not module.name.endswith("_network"):
            importlib.import_module(f"nas_proxy.{module.name}")

space = nas_proxy.get_space("nasbench201")
pool = space.enumerate()
cost = np.log1p(space.features(pool)).sum(axis=1)
sample = np.random.default_rng(0).choice(len(pool), 60, replace=False)
proxy = nas_proxy.ProxyLatencyModel(space).fit([pool[i] for i in sample], cost[sample])
which = proxy.suggest(pool, n=10, seed=0)
target = proxy.adapt([pool[i] for i in which], 2 * cost[which])
limit_ms = float(np.quantile(target.predict(pool), 0.5))
assert target.monotonicity.kendall_tau > 0

engine = nas_proxy.SearchEngine(space, {"phone": target}, {"phone": limit_ms})
for _ in range(6):
    candidate = engine.ask()
    assert candidate.latency_ms["phone"] <= limit_ms
    engine.tell(candidate.arch, float(candidate.arch.count("conv")))
assert engine.pareto()

folder = Path("help")
(folder / "latency").mkdir(parents=True)
for path, value in (("str_arch2idx.pt", {pool[0]: 0, pool[1]: 1}), ("latency/phone.pt", [1.0, 2.0])):
    with zipfile.ZipFile(folder / path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, 2))
assert nas_proxy.load_latencies("help", folder).latency_ms("phone").tolist() == [1, 2]
assert len(nas_proxy.get_space("fbnet").sample(5, seed=0)) == 5
assert nas_proxy.get_space("timm").features(["resnet50@224"]).shape[0] == 1

tensor = helper.make_tensor_value_info
node = helper.make_node("MatMul", ["x", "w"], ["y"])
weight = onnx.numpy_helper.from_array(np.ones((4, 8), np.float32), "w")
x, y = tensor("x", TensorProto.FLOAT, [2, 4]), tensor("y", TensorProto.FLOAT, [2, 8])
source = helper.make_graph([node], "g", [x], [y], [weight])
model = helper.make_model(source, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
assert nas_proxy.graph.annotate(nas_proxy.graph.from_onnx(model)).macs == 2 * 4 * 8

run = build_run(Path("run"))
assert write_report(run, Path("report.html")).stat().st_size > 10_000

try:
    space.build(pool[0])
except MissingDependencyError as error:
    assert "nas-proxy[torch]" in str(error)
else:
    raise AssertionError("a network was built without torch")
print("done", [name for name in ("nni", "torch") if name in sys.modules])
'''


def test_without_nni_and_torch(tmp_path: Path) -> None:
    program = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent / 'report')!r})\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["done []"], done.stderr
