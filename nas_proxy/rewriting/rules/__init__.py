"""The shipped rules, one module a family. ``nas_proxy.extensions`` finds them by name."""
