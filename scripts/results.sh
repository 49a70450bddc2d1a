#!/usr/bin/env bash
# The tables of the README, from the weights that ship: the held-out rooms, their relevancy, the
# evaluation of all seven networks. Carries on where it was cut off.
#   scripts/results.sh FOLDER [ROOMS_PER_SPLIT]
set -euo pipefail
out=${1:?usage: results.sh FOLDER [ROOMS_PER_SPLIT]}
rooms=${2:-80}
cores=$(nproc)
semabs() { python -m semabs_core.cli "$@"; }
shared() {  # one process per core
    OMP_NUM_THREADS=1 python -m torch.distributed.run --standalone --nproc-per-node "$cores" \
        -m semabs_core.cli "$@"
}

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
        [ -f "$out/$name.parquet" ] || shared eval "shipped:$name" --data "$out/rooms" \
            --out "$out/$name.parquet" --workers 0
        tables+=("$approach=$out/$name.parquet")
    done
    semabs summarize "${tables[@]}" --cutoff stored --intervals 1000 --published \
        --out "$out/$task.md"
done
echo "tables are in $out"
