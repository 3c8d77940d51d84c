"""What every format of accuracies must satisfy. In your tests, with a file or folder in the format::

from nas_proxy.testing.accuracy_formats import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_format(check):
    check(MyFormat(), path=path)
"""

from __future__ import annotations

from nas_proxy.datasets import AccuracyTable
from nas_proxy.testing._formats import checks_of

__all__ = ["CHECKS"]

CHECKS = checks_of(AccuracyTable, "accuracy")
