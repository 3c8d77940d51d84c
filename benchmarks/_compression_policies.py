"""The policies of ``benchmarks.compression``; ``python -m benchmarks._compression_policies`` trains them.

Each is kept as plain weights under ``runs/bench-compression``; what is there is not trained again. All seeds 0 come
first, so that a run that is stopped has every task.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from nas_proxy import files

FOLDER = Path("runs/bench-compression/trained")
LAYERS = [128, 128]


@dataclass(frozen=True)
class Cell:
    """One policy: an algorithm on a task, its steps of training, and a seed."""

    algorithm: str
    task: str
    steps: int
    seed: int

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.algorithm}-{self.task}-{self.steps}-{self.seed}.safetensors"


#: Steps of training: as long as this machine's hour allows, each clearly better than random (the table says how much).
STEPS = {
    ("PPO", "CartPole-v1"): 40_000, ("DQN", "CartPole-v1"): 40_000,
    ("PPO", "InvertedPendulum-v5"): 40_000, ("SAC", "InvertedPendulum-v5"): 12_000,
    ("PPO", "Hopper-v5"): 120_000, ("SAC", "Hopper-v5"): 12_000,
    ("PPO", "HalfCheetah-v5"): 150_000, ("SAC", "HalfCheetah-v5"): 30_000,
}  # fmt: skip
CELLS = tuple(Cell(*key, steps, seed) for seed in range(3) for key, steps in STEPS.items())


def make(cell: Cell) -> Any:
    """The algorithm, untrained. PPO on continuous tasks sees normalised observations, as its users have it."""
    import stable_baselines3
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env: Any = DummyVecEnv([lambda: gymnasium.make(cell.task)])
    settings: dict[str, Any] = {"policy_kwargs": {"net_arch": LAYERS}, "seed": cell.seed, "device": "cpu"}
    if cell.algorithm == "PPO" and cell.task != "CartPole-v1":
        env = VecNormalize(env)
    if cell.algorithm == "SAC":
        settings |= {"learning_starts": 1_000}
    if cell.algorithm == "DQN":  # of RL Baselines3 Zoo
        settings |= {
            "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1_000,
            "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128, "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
        }  # fmt: skip
    return getattr(stable_baselines3, cell.algorithm)("MlpPolicy", env, **settings)


def train(cell: Cell) -> None:
    """Train and keep a policy, with what normalises its observations."""
    started = time.process_time()
    model = make(cell).learn(cell.steps)
    normaliser = model.get_vec_normalize_env()
    tensors = {f"policy.{name}": value.contiguous() for name, value in model.policy.state_dict().items()}
    if normaliser is not None:
        tensors["mean"], tensors["variance"] = (
            torch.as_tensor(np.asarray(value, np.float32))
            for value in (normaliser.obs_rms.mean, normaliser.obs_rms.var)
        )
    # Twin networks may share storage: safetensors wants each on its own.
    tensors = {name: value.clone() for name, value in tensors.items()}
    about = {"cell": json.dumps(asdict(cell)), "cpu_s": f"{time.process_time() - started:.0f}"}
    files.write_bytes(cell.path, save(tensors, about))


def load(cell: Cell) -> Any:
    """The trained algorithm.

    Raises:
        FileNotFoundError: it has not been trained yet.
    """
    model = make(cell)
    with safe_open(cell.path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weights = {name.removeprefix("policy."): value for name, value in tensors.items() if name.startswith("policy.")}
    model.policy.load_state_dict(weights)
    if (normaliser := model.get_vec_normalize_env()) is not None:
        normaliser.obs_rms.mean, normaliser.obs_rms.var = (tensors[name].numpy() for name in ("mean", "variance"))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for cell in CELLS:
        if cell.seed < arguments.seeds and not cell.path.is_file():
            started = time.process_time()
            train(cell)
            print(f"{cell.path.stem}: {time.process_time() - started:.0f} s CPU", flush=True)


if __name__ == "__main__":
    main()
