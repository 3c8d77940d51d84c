"""What every rewriter must satisfy. In your tests::

from nas_proxy.testing.rewriters import CHECKS

@pytest.mark.parametrize("check", CHECKS)
def test_my_rewriter(check):
    check(MyRewriter())
"""

from __future__ import annotations

import numpy as np

from nas_proxy.graph import TensorGraph
from nas_proxy.rewriting import apply, structural_hash, verify
from nas_proxy.rewriting.costs import PlainCost
from nas_proxy.rewriting.planted import transformer
from nas_proxy.rewriting.rewriters import Rewriter
from nas_proxy.testing.rules import random_graphs

__all__ = ["CHECKS"]


def _networks() -> list[TensorGraph]:
    small = transformer(np.random.default_rng(0), 1, tokens=6, heads=1, size=4, pick=True)
    return [small, *random_graphs(range(3))]


def check_it_keeps_the_result_and_is_never_worse(rewriter: Rewriter) -> None:
    """The graph found computes the same, costs what is stated, and no more than the original."""
    for graph in _networks():
        found = rewriter.rewrite(graph, PlainCost(), evaluations=150, seed=1)
        assert verify(graph, found.graph).equal
        assert found.cost_after <= found.cost_before
        np.testing.assert_allclose(found.cost_after, PlainCost().price(found.graph).total, rtol=1e-9)


def check_its_edits_lead_there(rewriter: Rewriter) -> None:
    """Applying the edits in their order gives the graph found."""
    for graph in _networks():
        found = rewriter.rewrite(graph, PlainCost(), evaluations=60, seed=1)
        for edit in found.edits:
            graph = apply(graph, edit)
        assert structural_hash(graph) == structural_hash(found.graph)


def check_it_repeats_itself(rewriter: Rewriter) -> None:
    """The same seed gives the same graph."""
    for graph in _networks()[:2]:
        a, b = (rewriter.rewrite(graph, PlainCost(), evaluations=40, seed=5) for _ in range(2))
        assert structural_hash(a.graph) == structural_hash(b.graph)


def check_it_stays_within_its_budget(rewriter: Rewriter) -> None:
    """No more graphs are priced than allowed; without any, or out of time, the original comes back."""
    graph = _networks()[0]
    assert rewriter.rewrite(graph, PlainCost(), evaluations=20, seed=0).evaluations <= 20
    assert rewriter.rewrite(graph, PlainCost(), evaluations=0, seed=0).graph is graph
    assert rewriter.rewrite(graph, PlainCost(), evaluations=10**6, seconds=0.0, seed=0).graph is graph


CHECKS = (
    check_it_keeps_the_result_and_is_never_worse,
    check_its_edits_lead_there,
    check_it_repeats_itself,
    check_it_stays_within_its_budget,
)
