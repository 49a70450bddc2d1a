"""Seconds and peak memory of training steps of the completion network, full size by default.

``python -m benchmarks.training_step --help``
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time

import torch

from semabs_core.network_config import NetworkConfig
from semabs_core.training import TrainingConfig, TrainingData
from semabs_core.training.config import OptimizationConfig
from semabs_core.training.distributed import Process, joined
from semabs_core.training.loop import Trainer


class OneBatch(list):
    """A data set of one item in memory."""

    text_dim = 512


def random_batch(inputs: int, queries: int, labels: int) -> dict:
    """A batch of one scene: ``labels`` times ``queries`` points, a tenth of them positive."""
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor([2.0, 2.0, 2.0])
    lower = torch.tensor([-1.0, -1.0, -0.1])
    return {
        "input_xyz": lower + size * torch.rand(1, inputs, 3, generator=generator),
        "input_features": torch.rand(1, labels, inputs, 1, generator=generator),
        "query_xyz": lower + size * torch.rand(1, labels, queries, 3, generator=generator),
        "targets": (torch.rand(1, labels, queries, generator=generator) < 0.1).float(),
        "ignore": torch.zeros(1, labels, queries, dtype=torch.bool),
    }


def peak_gib(process: Process) -> float:
    """Peak memory so far: resident on a CPU, allocated on a GPU."""
    if process.device.type == "cuda":
        return torch.cuda.max_memory_allocated(process.device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxels", type=int, default=128, help="cells per axis")
    parser.add_argument("--levels", type=int, default=6, help="levels of the U-Net")
    parser.add_argument("--inputs", type=int, default=80_000, help="input points")
    parser.add_argument("--queries", type=int, default=400_000, help="query points per label")
    parser.add_argument("--labels", type=int, default=4, help="labels of the step")
    parser.add_argument("--labels-per-pass", type=int, default=1, help="0: all at once")
    parser.add_argument("--precision", default="auto", help="fp32, bf16, fp16 or auto")
    parser.add_argument("--device", default="auto", help="torch device")
    parser.add_argument("--steps", type=int, default=1, help="steps to take")
    options = parser.parse_args()
    network = NetworkConfig(voxel_shape=(options.voxels,) * 3, levels=options.levels)
    optimization = OptimizationConfig(
        labels_per_pass=options.labels_per_pass, precision=options.precision
    )
    batch = random_batch(options.inputs, options.queries, options.labels)
    with tempfile.TemporaryDirectory() as out, joined(options.device) as process:
        config = TrainingConfig(out=out, network=network, optimization=optimization)
        trainer = Trainer(config, TrainingData(OneBatch([batch]), dict), process)
        parameters = sum(p.numel() for p in trainer.network.parameters())
        print(
            f"{parameters / 1e6:.1f} M parameters, {options.voxels}^3 voxels, {options.inputs} "
            f"input and {options.labels} x {options.queries} query points, "
            f"{options.labels_per_pass or 'all'} label(s) per pass, {trainer.dtype} on "
            f"{process.device} ({torch.get_num_threads()} threads); "
            f"before the first step {peak_gib(process):.2f} GiB",
            flush=True,
        )
        for step in range(1, options.steps + 1):
            start = time.perf_counter()
            trainer.train_step(batch)
            seconds = time.perf_counter() - start
            print(
                f"step {step}: {seconds:.2f} s, peak memory {peak_gib(process):.2f} GiB", flush=True
            )


if __name__ == "__main__":
    main()
