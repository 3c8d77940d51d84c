"""The table of extension points: what each is for, its contract, and the entries that ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["POINTS", "Point"]


@dataclass(frozen=True)
class Point:
    """An extension point.

    Attributes:
        name: in Python, on the command line, and in ``nas_proxy.<name>``, the group of entry points.
        what: one of its entries in messages, such as ``"mapper"``.
        contract: ``module:attribute`` of the class that what an entry makes is an instance of.
        builtin: name -> ``module:attribute`` of the entries that ship.
        says: what entries are for.
        page: the page of ``docs/`` that shows a complete one.
        handed: names of the arguments that every entry is given before its options.
        flag: the option of commands that names one; empty where only code does.
    """

    name: str
    what: str
    contract: str
    builtin: Mapping[str, str]
    says: str
    page: str = "write-your-own"
    handed: tuple[str, ...] = ()
    flag: str = ""

    @property
    def suite(self) -> str:
        """The module whose ``CHECKS`` everything at this point must pass."""
        return f"nas_proxy.testing.{self.name}"


def _rules(**modules: str) -> dict[str, str]:
    """Rules are called as their functions, with dashes."""
    return {
        name: f"nas_proxy.rewriting.rules.{module}:{name.replace('-', '_')}"
        for module, rules in modules.items()
        for name in rules.split()
    }


_ALL = (
    Point(
        "spaces",
        "search space",
        "nas_proxy.spaces:SearchSpace",
        {
            "fbnet": "nas_proxy.spaces.fbnet:FBNet",
            "mobilenetv3": "nas_proxy.spaces.mobilenetv3:MobileNetV3",
            "nasbench201": "nas_proxy.spaces.nasbench201:NasBench201",
            "timm": "nas_proxy.spaces.timm_zoo:TimmZoo",
        },
        "what can be searched: architectures, their features and networks",
        "add-a-space",
        flag="--space",
    ),
    Point(
        "device_kinds",
        "device kind",
        "nas_proxy.devices:Device",
        {
            "edge-tpu": "nas_proxy.scheduling.device:EdgeTPUDevice.from_description",
            "host": "nas_proxy.devices.host:HostDevice.from_description",
            "spatial": "nas_proxy.mapping.device:SpatialDevice.from_description",
            "table": "nas_proxy.devices.table:TableDevice.from_description",
        },
        "kinds of devices: a device's YAML file names one in its field `kind`; the other fields are the kind's options",
        "add-a-device",
        handed=("name", "description"),
        flag="--device",
    ),
    Point(
        "runtimes",
        "runtime",
        "nas_proxy.devices:Runtime",
        {
            "onnxruntime": "nas_proxy.devices._runtimes:OnnxRuntime",
            "torch": "nas_proxy.devices._runtimes:TorchRuntime",
        },
        "what executes a network on this machine, for devices of kind `host`",
        "add-a-device",
    ),
    Point(
        "mappers",
        "mapper",
        "nas_proxy.mapping.mappers:Mapper",
        {
            "cma-es": "nas_proxy.mapping.mappers.baselines:CmaMapper",
            "exact": "nas_proxy.mapping.mappers.exact:ExactMapper",
            "genetic": "nas_proxy.mapping.mappers.baselines:GeneticMapper",
            "genetic-with-critic": "nas_proxy.mapping.mappers.baselines:with_critic",
            "marl": "nas_proxy.mapping.mappers.marl:MarlMapper",
            "marl-without-critic": "nas_proxy.mapping.mappers.marl:without_critic",
            "policy-gradient": "nas_proxy.mapping.mappers.policy_gradient:PolicyGradientMapper",
            "ppo": "nas_proxy.mapping.mappers.single_agent:unmasked",
            "ppo-archgym": "nas_proxy.mapping.mappers.single_agent:archgym",
            "ppo-masked": "nas_proxy.mapping.mappers.single_agent:masked",
            "random": "nas_proxy.mapping.mappers.baselines:RandomMapper",
        },
        "how a layer's mapping to a spatial accelerator is searched",
        flag="--mapper",
    ),
    Point(
        "schedulers",
        "scheduler",
        "nas_proxy.scheduling:Scheduler",
        {
            "compiler": "nas_proxy.scheduling._heuristics:CompilerScheduler",
            "dp": "nas_proxy.scheduling._heuristics:DPScheduler",
            "ideal_dp": "nas_proxy.scheduling._exact:IdealDPScheduler",
            "milp": "nas_proxy.scheduling._exact:MILPScheduler",
            "respect": "nas_proxy.scheduling.respect:RespectScheduler",
            "respect-published": "nas_proxy.scheduling.respect:PublishedScheduler",
            "respect-small": "nas_proxy.scheduling.respect:SmallRespectScheduler",
        },
        "how a network is cut into the stages of a pipeline",
        flag="--scheduler",
    ),
    Point(
        "rewriters",
        "rewriter",
        "nas_proxy.rewriting.rewriters:Rewriter",
        {
            "beam": "nas_proxy.rewriting.rewriters.baselines:BeamRewriter",
            "egglog": "nas_proxy.rewriting.rewriters.saturation:EqualitySaturationRewriter",
            "greedy": "nas_proxy.rewriting.rewriters.baselines:GreedyRewriter",
            "learned": "nas_proxy.rewriting.rewriters.learned:LearnedRewriter",
            "learned-small": "nas_proxy.rewriting.rewriters.learned:SmallLearnedRewriter",
            "random": "nas_proxy.rewriting.rewriters.baselines:RandomRewriter",
        },
        "how a cheaper equivalent of a network is searched",
        flag="--rewriter",
    ),
    Point(
        "rules",
        "rewrite rule",
        "nas_proxy.rewriting:Rule",
        _rules(
            affine="""conv-batchnorm batchnorm-as-scale scale-after-linear shift-after-linear scale-before-linear
                shift-before-linear pad-into-window conv-of-conv""",
            algebra="""associate-right associate-left sum-of-same sum-of-products sum-of-convolutions-as-one
                scale-through-product join-scales-of-product scale-before-view""",
            cleaning="constant-folding identity-elimination common-subexpression dead-code constant-reassociation",
            layout="""merge-transposes merge-reshapes transpose-as-reshape transpose-of-reshaped unary-before-view
                view-before-unary binary-of-transposes""",
            merging="merge-convolutions merge-products enlarge-kernel merge-groups",
            pooling="""convolution-before-pool pool-before-convolution average-as-convolution max-before-monotone
                monotone-before-max reduction-before-linear linear-before-reduction""",
            selection="gather-as-slice select-before shared-selection split-as-slices",
            splitting="""split-convolution split-product convolution-of-concat split-of-concat concat-of-split
                concat-of-concat unary-before-split unary-of-concat unary-joined""",
        ),
        "substitutions that rewriters may make; all of them are tried",
        "rewriting",
    ),
    Point(
        "costs",
        "cost",
        "nas_proxy.devices.costs:GraphCost",
        {"macs+bytes": "nas_proxy.rewriting.costs:PlainCost"},
        "what `optimise` makes smaller where no particular device is meant, such as operations and bytes",
        flag="--for",
    ),
    Point(
        "methods",
        "adaptation method",
        "nas_proxy.ranking:AdaptationMethod",
        {
            "adaproxy": "nas_proxy.ranking._adaproxy:AdaProxy",
            "bayes": "nas_proxy.ranking._spike_slab:Bayes",
        },
        "how the proxy's model is adapted to a target's few measurements",
        flag="--method",
    ),
    Point(
        "latency_formats",
        "latency format",
        "nas_proxy.datasets:LatencyFormat",
        {
            "csv": "nas_proxy.datasets.csv_formats:CsvLatencies",
            "help": "nas_proxy.datasets.help:HelpLatencies",
            "hw-nas-bench": "nas_proxy.datasets.hw_nas_bench:HwNasBenchLatencies",
            "oneproxy": "nas_proxy.datasets.oneproxy:OneProxyLatencies",
            "timm": "nas_proxy.datasets.timm:TimmLatencies",
        },
        "files of latencies that can be read",
    ),
    Point(
        "accuracy_formats",
        "accuracy format",
        "nas_proxy.datasets:AccuracyFormat",
        {
            "csv": "nas_proxy.datasets.csv_formats:CsvAccuracies",
            "nats-bench": "nas_proxy.datasets.nats_bench:NatsBenchAccuracies",
            "timm": "nas_proxy.datasets.timm:TimmAccuracies",
        },
        "files of accuracies that can be read",
    ),
    Point(
        "policies",
        "policy",
        "nas_proxy.compression:Task",
        {
            "respect": "nas_proxy.compression.policies.respect:task",
            "respect-published": "nas_proxy.compression.policies.published:task",
            "rewriter": "nas_proxy.compression.policies.rewriter:task",
        },
        "trained policies that can be made smaller, with what compressing them takes",
        "compression",
    ),
)
POINTS: Mapping[str, Point] = {point.name: point for point in _ALL}
