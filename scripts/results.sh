#!/usr/bin/env bash
# The tables of the README, from the weights that ship: the held-out rooms, their relevancy, the
# evaluation of all seven networks. Carries on where it was cut off.
#   scripts/results.sh FOLDER [ROOMS_PER_SPLIT]
set -euo pipefail
out=${1:?usage: results.sh FOLDER [ROOMS_PER_SPLIT]}
rooms=${2:-80}
processes=$(python -c 'import os, torch; print(torch.cuda.device_count() or os.cpu_count())')
semabs() { python -m semabs_core.cli "$@"; }
shared() {  # one process per GPU, or per core
    OMP_NUM_THREADS=1 python -m torch.distributed.run --standalone --nproc-per-node "$processes" \
        -m semabs_core.cli "$@"
}

manifest=$(python -c 'from semabs_core.weights.shipped import *; print(sha256_of(FOLDER / MANIFEST)[:8])')
rows="$out/$manifest-$rooms"  # of these weights and so many rooms
mkdir -p "$rows"
splits="unseen_instances=$rooms,unseen_instances_dr=$rooms,unseen_instances_synonyms=$rooms"
semabs data rooms --out "$out/rooms" --split "$splits" --seed 0
shared data relevancy "$out/rooms" --encoder shipped:encoder --precision bf16 \
    --preset ours --preset chefer_et_al --augmentations 0
semabs pointing "$out/rooms" --out "$out/pointing.md"
for task in completion localization; do
    approaches=(aware chefer ours)
    [ "$task" = localization ] && approaches=(aware clip chefer ours)
    tables=()
    for approach in "${approaches[@]}"; do
        name=$task$([ "$approach" = ours ] || echo "_$approach")
        [ -f "$rows/$name.parquet" ] || shared eval "shipped:$name" --data "$out/rooms" \
            --out "$rows/$name.parquet" --workers 0 --grid 32
        tables+=("$approach=$rows/$name.parquet")
    done
    semabs summarize "${tables[@]}" --cutoff stored --intervals 1000 --published \
        --out "$out/$task.md"
done
echo "tables are in $out"
