#!/usr/bin/env bash
# Everything that ships, from nothing: rooms, encoder, relevancy, networks; it is put into this
# package. Each step carries on where it was cut off, so the script may be started again. Hours on
# two cores.
#   scripts/train_weights.sh FOLDER [SEEDS]
set -euo pipefail
out=${1:?usage: train_weights.sh FOLDER [SEEDS]}
seeds=${2:-0}
root=$(cd "$(dirname "$0")/.." && pwd)
gpus=$(python -c 'import torch; print(torch.cuda.device_count())')
processes=$((gpus > 0 ? gpus : $(nproc)))
semabs() { python -m semabs_core.cli "$@"; }
shared() { "$root/scripts/shared.sh" "$@"; }

semabs data rooms --out "$out/encoder_rooms" --split unseen_instances=1600 --seed 1000 \
    --option points=2000
encoder=(--data "$out/encoder_rooms" --option precision=bf16 --resume)
semabs train encoder --out "$out/encoder_first" "${encoder[@]}" \
    --option relevancy_phrases=0 --option max_steps=4000
semabs train encoder --out "$out/encoder" "${encoder[@]}" \
    --option start="$out/encoder_first" --option seed=1 --option steps=2500 \
    --option learning_rate=0.001 --option warmup_steps=100
semabs data rooms --out "$out/calibration" --split train=120,validation=80 --seed 2000 \
    --option points=2000
for preset in ours fast chefer_et_al; do
    semabs weights calibrate "local-dir:$out/encoder" --data "$out/calibration" --preset "$preset"
done
semabs weights pack "$out/encoder" encoder "vision-language model of the synthetic rooms, width 64"

tests="unseen_instances=80,unseen_instances_dr=80,unseen_instances_synonyms=80"
semabs data rooms --out "$out/rooms" --split "train=800,validation=50,$tests" --seed 0
shared data relevancy "$out/rooms" --encoder shipped:encoder --precision bf16 \
    --preset ours --preset chefer_et_al --augmentations 0

# name, task, approach, preset, further options; as many at once as there are GPUs, or else cores
runs() {
    echo completion completion semantic_abstraction ours data.num_labels=4
    echo localization localization semantic_abstraction ours data.num_labels=2
    echo completion_aware completion semantic_aware ours data.num_labels=4
    echo localization_aware localization semantic_aware ours data.num_labels=2
    echo completion_chefer completion semantic_abstraction chefer_et_al data.num_labels=4
    echo localization_chefer localization semantic_abstraction chefer_et_al data.num_labels=2
    echo localization_clip localization clip_spatial ours data.num_labels=2
    echo completion_published completion semantic_abstraction ours network.sampling=published
}
train_one() {
    local seed=$1 name=$2 task=$3 approach=$4 preset=$5 option=$6
    local folder="$out/networks/$name-$seed"
    mkdir -p "$folder"
    [ "$gpus" -eq 0 ] || export CUDA_VISIBLE_DEVICES=$slot
    OMP_NUM_THREADS=1 python -m semabs_core.cli train "$task" --approach "$approach" \
        --config "$root/config/training/small.yaml" --data "$out/rooms" --out "$folder" \
        --option data.preset="$preset" --option "$option" --option seed="$seed" \
        --resume >>"$folder/log.txt" 2>&1 || {
        echo "FAILED: $name, seed $seed; see $folder/log.txt" >&2
        return 1
    }
    echo "trained $name, seed $seed"
}
export -f train_one
export out root gpus
for seed in $seeds; do
    runs | sed "s/^/$seed /" | xargs -P "$processes" --process-slot-var=slot -L 1 bash -c 'train_one "$@"' _
done

# the first seed's networks ship, but for the one that reads its volumes as the published code does
runs | sed -n 1,7p | while read -r name task approach preset _; do
    semabs weights pack "$out/networks/$name-${seeds%% *}" "$name" "$task by $approach, preset $preset"
done
