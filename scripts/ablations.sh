#!/usr/bin/env bash
# What each part of the networks for any encoder gains: small ones (32^3), trained alike, by the
# relevancy of encoders that they know and do not know. From a folder of train_weights.sh it needs
# encoder_coarse, encoder_poor and encoder_heldout. Each step carries on where it was cut off.
#   scripts/ablations.sh FOLDER [SEEDS]
set -euo pipefail
out=${1:?usage: ablations.sh FOLDER [SEEDS]}
seeds=${2:-0 1 2}
root=$(cd "$(dirname "$0")/.." && pwd)
processes=$(nproc)
semabs() { python -m semabs_core.cli "$@"; }
shared() { "$root/scripts/shared.sh" "$@"; }

rooms=(--option points=60000 --option even_share=0.5)
semabs data rooms --out "$out/easy_table" --split train=120,validation=8 --seed 90 "${rooms[@]}"
semabs data rooms --out "$out/robot_table" --split train=60,validation=8 --seed 7090 \
    --option views=robot "${rooms[@]}"
semabs data join "$out/table" "$out/easy_table" "$out/robot_table"
semabs data rooms --out "$out/test" --seed 0 \
    --split unseen_instances=12,unseen_instances_synonyms=12
see() {  # folder, name of an encoder
    local encoder="local-dir:$out/encoder_$2"
    [ "$2" != small ] || encoder=shipped:encoder
    shared data relevancy "$out/$1" --encoder "$encoder" --preset fast --tag "$2" \
        --augmentations 0 --source rgb
}
for name in small coarse poor; do see table "$name"; done
for name in small poor heldout; do see test "$name"; done

# name, relevancy to train on, what the network reads, further options. The first five of them grow
# step by step, the others leave out one thing of the last step, or do it in another way.
ours=saliency,rivals,tsdf
several=simulated,fast@small,fast@coarse,fast@poor
runs() {
    echo today fast@small saliency network.normalization=gain network.refine=false
    echo free fast@small saliency network.refine=false
    echo simulated simulated,fast@small saliency network.refine=false
    echo encoders $several saliency network.refine=false
    echo all $several $ours
}
alone() {
    echo no_refinement $several $ours network.refine=false
    echo no_rivals $several saliency,tsdf
    echo no_distances $several saliency,rivals
    echo no_overlap $several $ours optimization.overlap=0
    echo no_averaging $several $ours optimization.averaging=0
    echo lamb $several $ours optimization.method=lamb optimization.learning_rate=0.01
}
train_one() {
    local seed=$1 name=$2 records=$3 reads=$4 folder="$out/small/$2-$1" options=()
    shift 4
    for option in "$@"; do options+=(--option "$option"); done
    mkdir -p "$folder"
    {
        { grep -qs '"cutoff"' "$folder/network.json" ||
            python -m semabs_core.cli train completion --data "$out/table" --out "$folder" \
                --config "$root/config/training/any_encoder.yaml" --resume \
                --option network.voxel_shape="[32, 32, 32]" --option network.fine_maps=0 \
                --option network.f_maps=8 --option network.levels=4 --option network.groups=4 \
                --option network.network_inputs="[$reads]" --option data.records="[$records]" \
                --option data.num_input_points=12000 --option data.source=rgb \
                --option data.preset=fast@small --option optimization.precision=auto \
                --option optimization.max_steps=350 --option optimization.learning_rate=0.003 \
                --option seed="$seed" "${options[@]}"; } &&
            for relevancy in fast@{small,poor,heldout} masks; do
                rows="$folder/$relevancy.parquet"
                [ -f "$rows" ] || python -m semabs_core.cli eval "$folder" --data "$out/test" \
                    --preset "$relevancy" --out "$rows" --workers 0 --grid 32 || break
            done
    } >>"$folder/log.txt" 2>&1
    [ -f "$folder/masks.parquet" ] || {
        echo "FAILED: $name, seed $seed; see $folder/log.txt" >&2
        return 1
    }
    echo "done: $name, seed $seed"
}
export -f train_one
export out root OMP_NUM_THREADS=1
{
    for seed in $seeds; do runs | sed "s/^/$seed /"; done
    alone | sed "s/^/${seeds%% *} /"
} | xargs -P "$processes" -L 1 bash -c 'train_one "$@"' _
for relevancy in fast@{small,poor,heldout} masks; do
    rows=()
    for name in $(runs | cut -d' ' -f1); do
        for seed in $seeds; do rows+=("$name=$out/small/$name-$seed/$relevancy.parquet"); done
    done
    for name in $(alone | cut -d' ' -f1); do
        rows+=("$name=$out/small/$name-${seeds%% *}/$relevancy.parquet")
    done
    semabs summarize "${rows[@]}" --cutoff stored --out "$out/by_$relevancy.md"
done
echo "tables are in $out"
