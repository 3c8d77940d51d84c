"""What others have published of an accelerator and a mapping, counted here."""

from __future__ import annotations

import numpy as np
import pytest

from nas_proxy.mapping.accelerator import Accelerator
from nas_proxy.mapping.cost_model import CostModel
from nas_proxy.mapping.layer import DIMS, Layer
from nas_proxy.mapping.mappings import Mappings


def test_eyeriss_like_example_of_timeloop_and_accelergy():
    """86,016 cycles, 75 % utilization, 59.28 µJ: the reference output of their ``eyeriss_like`` example design.

    Its four levels are three here: the spads of a PE are one, filters go from DRAM straight to them. Energies per word
    are those of the published output, by tensor.
    """
    bandwidth = {"read_words_per_cycle": 16, "write_words_per_cycle": 16}
    level = {"read_energy_pj": 0.0, "write_energy_pj": 0.0}
    device = Accelerator.model_validate(
        {
            "word_bits": 8,
            "pe_rows": 12,
            "pe_cols": 14,
            "mac_energy_pj": 2250969.22 / 10838016,
            "levels": {
                "RF": level | {"capacity_words": {"W": 384, "I": 24, "O": 16}},
                "GLB": level | {"capacity_words": {"IO": 131072, "W": 1}} | bandwidth,
                "DRAM": level,
            },
        }
    )
    layer = Layer(k=32, c=3, p=112, q=112, r=3, s=3, stride=(2, 2))
    factors = np.ones((1, 5, 8), np.int64)
    slots = {0: {"K": 8, "R": 3}, 1: {"Q": 14}, 2: {"C": 3, "S": 3}, 3: {"P": 14, "Q": 4}, 4: {"P": 8, "Q": 2, "K": 4}}
    for slot, bounds in slots.items():
        for d, bound in bounds.items():
            factors[0, slot, DIMS.index(d)] = bound
    order = np.array([[[DIMS.index(d) for d in "NGCRSKPQ"], [DIMS.index(d) for d in "NGCRSPQK"]]])
    mapping = Mappings(factors, order, np.array([[False, True, True]]))
    mapping.check(layer, device)
    costs = CostModel(layer, device, "timeloop").evaluate(mapping)
    assert costs.valid[0]
    assert costs.cycles[0] == 86_016
    assert costs.utilization[0] == 0.75
    rf, glb, dram = costs.accesses[0]
    pes = 126
    np.testing.assert_array_equal(rf[0, :2], [86016 * pes, 1536 * pes])
    np.testing.assert_array_equal(rf[1, :2], [86016 * pes, 10752 * pes])
    np.testing.assert_array_equal(rf[2], [57344 * pes, 0, 86016 * pes])
    np.testing.assert_array_equal(glb[2], [0, 0, 401408])
    # The example's network has no multicast: 126 PEs read what 87 distinct windows hold; and the buffer's window does
    # not slide between DRAM tiles: 8 times one column of 87 words.
    assert glb[1, 0] == 1354752 * 87 / 126
    assert glb[1, 1] == dram[1, 0] == 157296 - 8 * 87
    np.testing.assert_array_equal([dram[0, 0], dram[2, 2]], [13824, 401408])
    np.testing.assert_array_equal(costs.tile_words[0, :2], [[24, 3, 8], [0, 9831, 6272]])
    per_word = np.array(  # pJ by level and tensor: published energies over published accesses
        [
            [86454.81 / 87552, 9656.63 / 96768, 33256.65 / (57344 + 86016)],
            [0.0, 3357302.30 / 1512048, 709384.73 / 401408],
            [64.0, 64.0, 64.0],
        ]
    )
    energy_uj = (costs.energy_pj[0] + (costs.accesses[0].sum(axis=2) * per_word).sum()) * 1e-6
    assert energy_uj == pytest.approx(59.28, rel=0.02)  # all of the difference is the inputs' above
