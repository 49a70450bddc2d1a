"""A process that has loaded torch once and forks a training run for every line of its input.

A line is ``[kind, config, target, count]``: ``network`` or ``encoder``, a YAML file, and the file
before whose ``count``-th renaming the run dies, as by ``kill -9`` (0: it runs to its end). The
answer is a line with the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback

from training_toy import toy_data

from semabs_core.config import read_yaml
from semabs_core.training import load_training_config, train
from semabs_core.training.encoder import train_encoder
from semabs_core.training.encoder_config import parse_encoder_config


def run(kind: str, file: str) -> None:
    if kind == "encoder":
        train_encoder(parse_encoder_config(read_yaml(file)))
        return
    config = load_training_config(file)
    train(config, toy_data(config, validate=True, scenes=3, padding=True))


def die_before_renaming(target: str, count: int) -> None:
    """End this process when a file is about to get its name for the ``count``-th time."""
    replace, seen = os.replace, []

    def replace_or_die(source, destination):
        seen.extend([1] * (str(destination) == target))
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, destination)

    os.replace = replace_or_die


def fork(kind: str, file: str, target: str, count: int) -> int:
    """Run in a child; its exit code."""
    child = os.fork()
    if not child:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # answers alone go to the output
        try:
            if count:
                die_before_renaming(target, count)
            run(kind, file)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(fork(*json.loads(line)), flush=True)
