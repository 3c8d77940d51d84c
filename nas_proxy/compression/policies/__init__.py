"""The project's own policies, as tasks of compression. The only part of it that knows them.

The mapper's agents are none of them: ``marl`` and ``policy-gradient`` hold a table of logits for each layer they map,
and the PPO baselines train a network anew for each: there are no weights to ship smaller.
"""
