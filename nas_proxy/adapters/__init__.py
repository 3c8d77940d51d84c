"""Other hosts than NNI, a module each: :mod:`~nas_proxy.adapters.optuna`, :mod:`~nas_proxy.adapters.ray_tune` and
:mod:`~nas_proxy.adapters.syne_tune`. Each is a thin layer over a :class:`~nas_proxy.search.Session`.
"""
