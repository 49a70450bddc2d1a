#!/usr/bin/env bash
# The tables of the README, from the weights that ship: the held-out rooms, their relevancy, the
# evaluation of all seven networks. With a folder of train_weights.sh, the tables of all seeds there,
# and of the decoder that reads its volumes as the published one does. Carries on where it was cut
# off.
#   scripts/results.sh FOLDER [ROOMS_PER_SPLIT [TRAINED]]
set -euo pipefail
out=${1:?usage: results.sh FOLDER [ROOMS_PER_SPLIT [TRAINED]]}
rooms=${2:-30}
trained=${3:-}
processes=$(python -c 'import os, torch; print(torch.cuda.device_count() or os.cpu_count())')
semabs() { python -m semabs_core.cli "$@"; }
shared() {  # one process per GPU, or per core
    OMP_NUM_THREADS=1 python -m torch.distributed.run --standalone --nproc-per-node "$processes" \
        -m semabs_core.cli "$@"
}
checkpoints() {  # of a network's name, one per seed
    if [ -n "$trained" ]; then
        find "$trained/networks" -maxdepth 1 -name "$1-[0-9]*" | sort -V
    else
        echo "shipped:$1"
    fi
}

weights=$(python -c 'from semabs_core.weights.shipped import FOLDER as f; print(f)')
[ -n "$trained" ] && weights=$trained/networks
of=$(find "$weights" -maxdepth 2 -name '*.safetensors' | sort | xargs cat | sha256sum | head -c 8)
rows="$out/rows-$of-$rooms"  # of these weights and so many rooms
mkdir -p "$rows"
splits="unseen_instances=$rooms,unseen_instances_dr=$rooms,unseen_instances_synonyms=$rooms"
semabs data rooms --out "$out/rooms" --split "$splits" --seed 0
shared data relevancy "$out/rooms" --encoder shipped:encoder --precision bf16 \
    --preset ours --preset chefer_et_al --augmentations 0
for preset in ours chefer_et_al; do
    semabs pointing "$out/rooms" --preset "$preset" --out "$out/pointing_$preset.md"
done
for task in completion localization; do
    approaches=(aware chefer ours published)
    [ "$task" = localization ] && approaches=(aware clip chefer ours)
    tables=()
    for approach in "${approaches[@]}"; do
        name=$task$([ "$approach" = ours ] || echo "_$approach")
        [ "$approach" = published ] && [ -z "$trained" ] && continue
        for checkpoint in $(checkpoints "$name"); do
            file="$rows/$(basename "${checkpoint#shipped:}").parquet"
            [ -f "$file" ] || shared eval "$checkpoint" --data "$out/rooms" --out "$file" \
                --workers 0 --grid 32
            tables+=("$approach=$file")
        done
    done
    semabs summarize "${tables[@]}" --cutoff stored --intervals 1000 --against ours \
        --out "$out/$task${trained:+_seeds}.md"
done
echo "tables are in $out"
