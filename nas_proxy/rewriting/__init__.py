"""Equivalent, cheaper networks: substitutions of a tensor graph, found by search for a target device's cost."""

from nas_proxy.rewriting._edit import Edit, Patch, apply
from nas_proxy.rewriting._rule import Rule, rule
from nas_proxy.rewriting._structure import structural_hash
from nas_proxy.rewriting._verify import Verification, verify, verify_edit

__all__ = [
    "Edit",
    "Patch",
    "Rule",
    "Verification",
    "apply",
    "register_environments",
    "rule",
    "structural_hash",
    "verify",
    "verify_edit",
]


def register_environments() -> None:
    """Make ``nas_proxy/GraphRewrite-v0`` known to Gymnasium. Importing ``nas_proxy.rewriting`` does it."""
    try:
        import gymnasium
    except ImportError:  # Gymnasium is an extra
        return
    if "nas_proxy/GraphRewrite-v0" not in gymnasium.registry:
        gymnasium.register(
            "nas_proxy/GraphRewrite-v0", entry_point="nas_proxy.rewriting.xrlflow.environment:GraphRewriteEnv"
        )


register_environments()
