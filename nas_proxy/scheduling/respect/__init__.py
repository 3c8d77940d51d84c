"""A learned scheduler after RESPECT: improved, and as published."""

from nas_proxy.scheduling.respect._published import PublishedScheduler
from nas_proxy.scheduling.respect._scheduler import (
    RespectScheduler,
    SmallRespectScheduler,
    load_policy,
    save_policy,
    save_weights,
)
from nas_proxy.scheduling.respect._train import RespectTraining, train
from nas_proxy.scheduling.respect._train_published import train_published

__all__ = [
    "PublishedScheduler",
    "RespectScheduler",
    "RespectTraining",
    "SmallRespectScheduler",
    "load_policy",
    "save_policy",
    "save_weights",
    "train",
    "train_published",
]
