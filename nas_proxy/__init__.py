"""nas-proxy: one measured proxy device ranks candidate networks for every other device, inside NNI 3.0.

Everything is imported on first use: NNI gives a tuner ten seconds to start, and half of the package needs no torch.
What there is stands in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
