"""Ask/tell search that every host shares: accuracy is learnt from results, latency is known in prediction.

:class:`SearchEngine` proposes, :class:`Session` makes it survive its process. What there is stands in ``__init__.pyi``;
it is imported on first use, since settings are read where nothing is searched.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
