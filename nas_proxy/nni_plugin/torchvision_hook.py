"""Lets a torchvision built for CUDA be imported beside a CPU-only torch.

``nas-proxy doctor --fix`` copies this file into the site-packages of the virtual environment, with a ``.pth`` line that
imports it at the start of every Python process (``nas-proxy doctor --remove-hook`` takes both away). torchvision's
compiled operators then cannot load, and ``import torchvision`` stops at its first use of ``torchvision::nms``, which
takes torchmetrics, Lightning and every ``nni.nas`` with it. Declaring the schemas of the two operators that it
annotates at import makes all of those work; calling the operators still fails, with torch's own message.

Nothing is imported before ``torchvision`` is, and nothing is declared once its operators do load.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library = None  # torch forgets the schemas once their library object is gone


def _operators_load(package: Path) -> bool:
    import torch

    for library in [*package.glob("_C*.so"), *package.glob("_C*.pyd")]:
        try:
            torch.ops.load_library(str(library))
            return True
        except OSError:
            continue
    return False


def _declare(package: Path) -> None:
    global _library
    import torch.library

    if _library is None and not _operators_load(package):
        _library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            _library.define(schema)


class _Finder:
    """Finds torchvision as Python does, with the declaration put before its first line."""

    @staticmethod
    def find_spec(name, path=None, target=None) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None or spec.origin is None:
            return spec
        package, execute = Path(spec.origin).parent, spec.loader.exec_module

        def execute_declared(module):
            _declare(package)
            execute(module)

        spec.loader.exec_module = execute_declared
        return spec


sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]  # a class with a static find_spec is a finder
