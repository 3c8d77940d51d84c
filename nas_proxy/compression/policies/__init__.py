"""The project's own policies, as tasks of compression. The only part of it that knows them.

The mapper's agents are none of them: ``marl`` and ``policy-gradient`` hold a table of logits for each layer they map,
and the PPO baselines train a network anew for each: there are no weights to ship smaller.
"""

__all__ = ["METHODS"]

_RATIOS = (0.1, 0.3, 0.5, 0.7)
#: The grid for the project's policies, whose returns take seconds.
METHODS = (
    "float32", "PTDQ", "PTSQ", "QAT",
    *(f"L{norm} {ratio}" for norm in (1, 2) for ratio in (0.05, *_RATIOS)),
    *(f"L{norm} {ratio} + distil" for norm in (1, 2) for ratio in _RATIOS),
    *(f"L2 {ratio} + distil + PTDQ" for ratio in _RATIOS), "L2 0.75 + distil",
)  # fmt: skip
