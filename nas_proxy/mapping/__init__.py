"""Layers onto spatial accelerators: cost model, mapping space, mappers."""
