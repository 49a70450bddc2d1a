#!/usr/bin/env bash
# A semabs command by one process per GPU, or per core, which share its scenes.
#   scripts/shared.sh COMMAND [OPTIONS]
set -euo pipefail
processes=$(python -c 'import os, torch; print(torch.cuda.device_count() or os.cpu_count())')
OMP_NUM_THREADS=1 exec python -m torch.distributed.run --standalone \
    --nproc-per-node "$processes" -m semabs_core.cli "$@"
