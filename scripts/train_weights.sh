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
# An encoder: first the phrases alone, then their relevancy too. The one of the comparison then
# learns random colours, and the one that is the default grows out of it: finer patches, more
# layers, other rooms. The others differ in patch, width and seed, and serve to train networks that
# do not depend on one encoder. The poor one never learns relevancy, as CLIP does not; on the
# held-out one no network is ever trained.
train_encoder() {  # name, options
    local name=$1
    shift
    semabs train encoder --out "$out/$name" --data "$out/encoder_rooms" --resume \
        --option precision=bf16 "$@"
}
phrases=(--option relevancy_phrases=0)
refine=(--option learning_rate=0.001)
train_encoder encoder_first "${phrases[@]}" --option max_steps=4000
train_encoder encoder_second "${refine[@]}" --option start="$out/encoder_first" --option seed=1 \
    --option steps=2500 --option warmup_steps=100
few=(--option colored_phrases=24 --option sentences=8)
train_encoder encoder "${refine[@]}" "${few[@]}" --option start="$out/encoder_second" \
    --option seed=2 --option steps=3300 --option warmup_steps=100 --option data.random_colors=0.65

semabs data rooms --out "$out/fine_rooms" --split unseen_instances=1200 --seed 3000 \
    --option points=2000
fine=(--data "$out/fine_rooms" "${refine[@]}" "${few[@]}" --option shape.image_size=96
    --option shape.layers=6 --option data.random_colors=0.5)
train_encoder encoder_fine_first "${fine[@]}" --option start="$out/encoder" --option seed=5 \
    --option steps=5600 --option max_steps=495 --option warmup_steps=150
train_encoder encoder_fine "${fine[@]}" --option start="$out/encoder_fine_first" --option seed=6 \
    --option steps=4000 --option warmup_steps=50

coarse=("${few[@]}" --option shape.image_size=96 --option shape.patch_size=16
    --option shape.width=96 --option shape.text_layers=1)
train_encoder encoder_coarse_first "${coarse[@]}" "${phrases[@]}" --option seed=11 \
    --option max_steps=1050 --option learning_rate=0.002 --option warmup_steps=100
train_encoder encoder_coarse "${coarse[@]}" "${refine[@]}" --option seed=111 \
    --option start="$out/encoder_coarse_first" --option steps=600 --option warmup_steps=50
train_encoder encoder_poor "${few[@]}" "${phrases[@]}" --option seed=12 --option steps=800 \
    --option shape.width=64 --option shape.layers=2 --option shape.text_layers=1 \
    --option learning_rate=0.002 --option warmup_steps=50
semabs data rooms --out "$out/heldout_rooms" --split unseen_instances=1000 --seed 5000 \
    --option points=2000
heldout=(--data "$out/heldout_rooms" "${few[@]}" --option data.random_colors=0.1
    --option shape.image_size=84 --option shape.patch_size=12 --option shape.width=160)
train_encoder encoder_heldout_first "${heldout[@]}" "${phrases[@]}" --option seed=13 \
    --option steps=2400 --option learning_rate=0.0015 --option warmup_steps=100
train_encoder encoder_heldout "${heldout[@]}" "${refine[@]}" --option seed=113 \
    --option start="$out/encoder_heldout_first" --option steps=6000 --option warmup_steps=50

semabs data rooms --out "$out/calibration" --split train=120,validation=80 --seed 2000 \
    --option points=2000
for name in encoder encoder_fine; do
    for preset in ours fast sparse mosaic chefer_et_al; do
        semabs weights calibrate "local-dir:$out/$name" --data "$out/calibration" --preset "$preset"
    done
    semabs weights pack "$out/$name" "$name" "vision-language model of the synthetic rooms"
done

tests="unseen_instances=80,unseen_instances_dr=80,unseen_instances_synonyms=80"
semabs data rooms --out "$out/rooms" --split "train=800,validation=50,$tests" --seed 0
shared data relevancy "$out/rooms" --encoder shipped:encoder \
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

# The networks for any encoder: rooms of both kinds, relevancy that is simulated or the encoder's. A
# first round learns from cross-entropy alone, a second one the overlap too, a third one whole cells.
# The mean of the second and the third goes on with the relevancy of the default encoder. Then come
# rooms of which all surfaces are known all over, the floor under things too: two runs, without that
# relevancy and with it, whose mean ships. (Of the run with it, only 177 of these rooms had it.)
known=(--option points=60000)
room_set() {  # name, seed, rooms to train on (easy, as robots see them), to validate on, encoder
    local name=$1 seed=$2 easy=$3 robot=$4 validation=$5 encoder=$6
    semabs data rooms --out "$out/easy_$name" --split "train=$easy,validation=$validation" \
        --seed "$seed" "${known[@]}"
    semabs data rooms --out "$out/robot_$name" --split "train=$robot,validation=$validation" \
        --seed $((7000 + seed)) --option views=robot "${known[@]}"
    semabs data join "$out/any_$name" "$out/easy_$name" "$out/robot_$name"
    shared data relevancy "$out/any_$name" --encoder "local-dir:$out/$encoder" \
        --preset fast --augmentations 0 --source rgb --source domain_randomized_rgb
}
room_set rooms 0 220 420 24 encoder
train_any() {  # task, round, options
    local task=$1 folder="$out/networks/$1_any$2"
    shift 2
    semabs train "$task" --config "$root/config/training/any_encoder.yaml" \
        --data "$out/${rooms:-any_rooms}" --out "$folder" --resume "$@"
}
points=(--option data.whole_cells=false)
first=("${points[@]}" --option optimization.overlap=0 --option optimization.learning_rate=0.002)
described=(--option data.num_labels=2 --option data.absent_share=0)
train_any completion _first "${first[@]}" --option optimization.max_steps=1080
train_any completion _second "${points[@]}" --option seed=7 \
    --option start="$out/networks/completion_any_first"
rooms=easy_rooms train_any completion _cells --option seed=21 \
    --option start="$out/networks/completion_any_second" \
    --option data.preset=masks --option data.records="[simulated, masks]" \
    --option optimization.max_steps=250 --option optimization.learning_rate=0.0007
train_any completion _third --option start="$out/networks/completion_any_cells" --option seed=31 \
    --option data.records="[simulated, simulated, fast, fast]" \
    --option optimization.max_steps=1550 --option optimization.learning_rate=0.0012
semabs weights average "$out/networks/completion_any_second" "$out/networks/completion_any_third" \
    "$out/networks/completion_any_mean"
room_set more 40 160 120 12 encoder_fine
rooms=any_more train_any completion _fourth --option start="$out/networks/completion_any_mean" \
    --option seed=51 --option data.records="[simulated, fast, fast, masks]" \
    --option optimization.max_steps=1000 --option optimization.learning_rate=0.001
known=(--option points=100000 --option even_share=0.5)
room_set even 60 320 140 12 encoder_fine
fifth=(--option start="$out/networks/completion_any_fourth" --option optimization.learning_rate=0.0012)
rooms=any_even train_any completion _fifth_a "${fifth[@]}" --option seed=71 \
    --option data.preset=masks --option data.records="[simulated, simulated, masks]" \
    --option optimization.max_steps=650
rooms=any_even train_any completion _fifth_b "${fifth[@]}" --option seed=72 \
    --option data.records="[fast, fast, fast, simulated]" --option optimization.max_steps=520
semabs weights average "$out/networks/completion_any_fifth_a" "$out/networks/completion_any_fifth_b" \
    "$out/networks/completion_any"
train_any localization _first "${first[@]}" "${described[@]}" \
    --option start="$out/networks/completion_any_first" --option optimization.max_steps=500
train_any localization "" "${described[@]}" "${points[@]}" --option optimization.max_steps=750 \
    --option start="$out/networks/localization_any_first" --option seed=7
rooms=any_more train_any localization _fine --option start="$out/networks/localization_any" \
    "${described[@]}" "${points[@]}" --option data.records="[simulated, fast, fast, fast]" \
    --option seed=61 --option optimization.max_steps=700 --option optimization.learning_rate=0.0012
semabs data rooms --out "$out/easy_scores" --split validation=12 --seed 80 "${known[@]}"
semabs data rooms --out "$out/robot_scores" --split validation=12 --seed 7080 \
    --option views=robot "${known[@]}"
semabs data join "$out/scores" "$out/easy_scores" "$out/robot_scores"
see_scores() {  # encoder, preset, pictures
    shared data relevancy "$out/scores" --encoder "local-dir:$out/$1" --preset "$2" \
        --augmentations 0 --source "$3" --tag "$1"
}
see_scores encoder_fine fast rgb
see_scores encoder_fine fast domain_randomized_rgb
see_scores encoder_fine mosaic rgb
see_scores encoder mosaic rgb
semabs calibrate "$out/networks/completion_any" --data "$out/scores" \
    --preset fast@encoder_fine --source rgb --source domain_randomized_rgb
semabs calibrate "$out/networks/completion_any" --data "$out/scores" --keep-cutoffs --limit 16 \
    --preset mosaic@encoder_fine --preset mosaic@encoder --preset simulated
semabs calibrate "$out/networks/localization_any" --data "$out/any_more" --preset fast \
    --preset simulated --limit 24
semabs calibrate "$out/networks/localization_any_fine" --data "$out/any_more" --preset fast \
    --limit 24
semabs calibrate "$out/networks/localization_any" --data "$out/scores" --keep-cutoffs \
    --preset mosaic@encoder_fine --preset simulated
semabs calibrate "$out/networks/localization_any_fine" --data "$out/scores" --keep-cutoffs \
    --preset mosaic@encoder_fine
semabs weights pack "$out/networks/localization_any_fine" localization_fine \
    "localization for the default encoder, 64^3" --preset mosaic
for task in completion localization; do
    semabs weights pack "$out/networks/${task}_any" "${task}_any" "$task for any encoder, 64^3" \
        --preset mosaic
done

# the first seed's networks ship, but for the one that reads its volumes as the published code does
runs | sed -n 1,7p | while read -r name task approach preset _; do
    semabs weights pack "$out/networks/$name-${seeds%% *}" "$name" "$task by $approach, preset $preset"
done
