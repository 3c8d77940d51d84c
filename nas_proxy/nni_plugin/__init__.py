"""The NNI faces: tuner, trial, the `run` and `doctor` commands, and what makes up for NNI 3.0's own failures."""
