"""``python -m nas_proxy.trial``: what an experiment runs for each candidate (``trialCommand`` in NNI's YAML)."""

from nas_proxy.nni_plugin.trial import main

if __name__ == "__main__":
    main()
