"""The mapping space: every sample is valid, nothing is told apart that costs the same, nothing better is left out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_proxy.errors import InputError
from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel
from nas_proxy.mapping.layer import DIMS, Layer
from nas_proxy.mapping.mappings import Mappings
from nas_proxy.mapping.space import MappingSpace

BUFFER = {"read_energy_pj": 1.0, "write_energy_pj": 1.0}


def accelerator(**changes) -> Accelerator:
    levels = {"RF": BUFFER | {"capacity_words": 24}, "GLB": BUFFER | {"capacity_words": 300}, "DRAM": BUFFER}
    levels = {name: level | changes.pop(name, {}) for name, level in levels.items()}
    fields = {"word_bits": 8, "pe_rows": 4, "pe_cols": 6, "mac_energy_pj": 1.0, "levels": levels}
    return Accelerator(**(fields | changes))


LAYERS = st.builds(
    Layer,
    n=st.integers(1, 2),
    g=st.sampled_from([1, 1, 6]),
    k=st.integers(1, 24),
    c=st.integers(1, 24),
    p=st.integers(1, 30),
    q=st.integers(1, 30),
    r=st.integers(1, 5),
    s=st.integers(1, 5),
    stride=st.sampled_from([(1, 1), (2, 2)]),
)
DEVICES = st.sampled_from(
    [
        accelerator(),
        accelerator(RF={"capacity_words": {"W": 1, "I": 2, "O": 3}}, GLB={"double_buffered": True}),
        accelerator(constraints={"x": ("K",), "y": ("C", "R"), "register_dims": ("S",), "glb_keep": {"W": False}}),
        accelerator(constraints={"x": (), "y": (), "register_dims": (), "glb_keep": {"I": True, "O": True}}),
    ]
)


@settings(deadline=None, max_examples=40)
@given(LAYERS, DEVICES, st.booleans(), st.integers(0, 100))
def test_every_sample_is_valid(layer, device, pad, seed):
    space = MappingSpace(layer, device, pad)
    choices = space.sample(np.random.default_rng(seed), 40)
    mappings = space.mappings(choices)
    mappings.check(layer, device)
    assert CostModel(layer, device).evaluate(mappings).valid.all()
    assert (mappings.factors.prod(axis=1) == space.bounds).all()
    for slot, name in ((0, "RF"), (1, "X"), (2, "Y")):
        assert (mappings.factors[:, slot][:, ~device.allowed(name)] == 1).all()
    for tensor, keep in device.constraints.glb_keep.items():
        assert (mappings.keep[:, "WIO".index(tensor)] == keep).all()


def test_sampling_follows_seed_and_policy():
    space = MappingSpace(Layer(k=8, c=8, p=8), accelerator())
    first, again = (space.sample(np.random.default_rng(3), 50) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    logits = np.zeros((len(space), 8))
    logits[space.factor_slice, 4] = 50.0
    assert (space.sample(np.random.default_rng(0), 20, logits)[:, space.factor_slice] == 4).all()


def test_repair_keeps_what_is_valid_and_mends_the_rest():
    layer, rng = Layer(k=16, c=16, p=16), np.random.default_rng(0)
    space = MappingSpace(layer, accelerator())
    valid = space.sample(rng, 100)
    np.testing.assert_array_equal(space.repair(valid, rng), valid)
    broken = rng.integers(0, 5, size=valid.shape)
    assert CostModel(layer, accelerator()).evaluate(space.mappings(space.repair(broken, rng))).valid.all()


def test_masks_step_by_step_allow_exactly_what_fits():
    """Taking any allowed choice, decision after decision, ends valid; a forbidden slot would not fit."""
    layer, device, rng = Layer(k=12, c=8, p=6, r=3), accelerator(), np.random.default_rng(1)
    space, model = MappingSpace(layer, device), CostModel(layer, device)
    for _ in range(6):
        choices = np.full(len(space), 4)
        for i in range(len(space)):
            mask = space.mask(choices, i)
            assert mask.any()
            if space.factor_slice.start <= i < space.factor_slice.stop:
                tried = np.repeat(choices[None], 5, axis=0)
                tried[:, i] = np.arange(5)
                tried[:, i + 1 : space.factor_slice.stop] = 4
                tried[:, -4:] = 0
                np.testing.assert_array_equal(mask[:5], model.evaluate(space.mappings(tried)).valid)
            choices[i] = rng.choice(np.flatnonzero(mask))
        assert model.evaluate(space.mappings(choices[None])).valid[0]


def test_identical_copies_and_idle_loops_are_one_mapping():
    space = MappingSpace(Layer(k=4, c=3), accelerator())
    choices = space.sample(np.random.default_rng(0), 1)
    copies = 3 + np.flatnonzero([d.label == "K factor 2" for d in space.decisions[3:]])
    choices[0, copies] = [4, 3]
    swapped = choices.copy()
    swapped[0, copies] = [3, 4]
    np.testing.assert_array_equal(space.canonical(choices.copy()), space.canonical(swapped))
    idle = choices.copy()
    idle[0, -4] = DIMS.index("Q")  # no loop of Q anywhere
    keys = space.keys(space.mappings(np.concatenate([choices, swapped])))
    assert keys[0] == keys[1]
    costs = CostModel(Layer(k=4, c=3), accelerator()).evaluate(space.mappings(np.concatenate([choices, idle])))
    assert len(set(space.keys(space.mappings(idle)))) == 1
    assert costs.valid.all()


def test_the_compact_loop_orders_leave_out_nothing_better():
    """For tiny nests, the best of all 7! orders at both levels is among the compact ones."""
    rng = np.random.default_rng(5)
    layer = Layer(k=8, c=8, p=12, r=3)
    device = accelerator(DRAM={"read_words_per_cycle": 1.0, "read_energy_pj": 50.0})
    model, space = CostModel(layer, device), MappingSpace(layer, device)
    used = [DIMS.index(d) for d in "KCPR"]
    others = [d for d in range(8) if d not in used]
    orders = np.array([others + list(order) for order in itertools.permutations(used)])
    pairs = np.array([(a, b) for a in range(len(orders)) for b in range(len(orders))])
    pair_choices = list(itertools.product(range(8), repeat=4))
    for choices in space.sample(rng, 6):
        one = space.mappings(choices[None])
        everything = Mappings(
            np.repeat(one.factors, len(pairs), axis=0), orders[pairs], np.repeat(one.keep, len(pairs), axis=0)
        )
        compact = np.repeat(choices[None], len(pair_choices), axis=0)
        compact[:, -4:] = pair_choices
        best = model.evaluate(everything)
        found = model.evaluate(space.mappings(compact))
        for what in ("edp", "cycles", "energy_pj"):
            assert getattr(found, what).min() <= getattr(best, what).min() * (1 + 1e-12)


def test_bounds_with_a_large_prime_are_padded():
    layer = Layer("gemm", p=197, k=768, c=13)
    assert MappingSpace(layer, accelerator()).bounds.tolist() == [1, 1, 768, 13, 197, 1, 1, 1]
    assert MappingSpace(layer, accelerator(), pad=True).bounds.tolist() == [1, 1, 768, 14, 200, 1, 1, 1]


def test_what_it_says_of_an_assignment():
    space = MappingSpace(Layer(k=3), accelerator())
    assert space.describe(np.array([1, 0, 1, 2, 2, 3, 0, 4])) == (
        "keep W in GLB: yes; keep I in GLB: no; keep O in GLB: yes; K factor 3: Y; GLB innermost loop: K; "
        "GLB second loop: C; DRAM innermost loop: N; DRAM second loop: P"
    )
    assert space.log10_size == pytest.approx(np.log10(2**3 * 5 * 8**4))


def test_a_layer_of_one_mac_still_has_a_mapping():
    space = MappingSpace(Layer("fc"), accelerator())
    assert len(set(space.keys(space.mappings(space.sample(np.random.default_rng(0), 30))))) <= 8


def test_layers_the_accelerator_cannot_run():
    with pytest.raises(InputError, match="cannot run gemm layers"):
        MappingSpace(Layer("gemm"), accelerator(layer_kinds=("conv",)))
