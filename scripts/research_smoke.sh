#!/usr/bin/env bash
# The whole research loop in small: rooms, relevancy, training of all five approach/task pairs,
# evaluation, summary tables. A few minutes on two cores. The figures mean nothing at this size.
set -euo pipefail
out=${1:?usage: research_smoke.sh FOLDER}
root=$(cd "$(dirname "$0")/.." && pwd)
semabs() { python -m semabs_core.cli "$@"; }

semabs data rooms --out "$out/data" --seed 0 --workers 2 --option 'size=[128, 96]' \
    --option points=10000 \
    --split train=3,validation=1,unseen_instances=2,unseen_instances_dr=1,unseen_instances_synonyms=1
semabs data relevancy "$out/data" --encoder "local-dir:$root/test/fixtures/published_relevancy/wide" \
    --preset chefer_et_al

small=(--option 'network.voxel_shape=[16, 16, 16]' --option network.channels=8
    --option network.f_maps=8 --option network.levels=2 --option network.hidden=16
    --option network.pointing_dim=8 --option data.preset=chefer_et_al
    --option data.num_input_points=2000 --option data.num_query_points=2000
    --option optimization.max_steps=4 --option optimization.warmup_steps=1
    --option workers=0 --option device=cpu --option log_every_steps=1)
for pair in completion/semantic_abstraction completion/semantic_aware \
    localization/semantic_abstraction localization/semantic_aware localization/clip_spatial; do
    task=${pair%/*} approach=${pair#*/}
    semabs train "$task" --approach "$approach" --data "$out/data" --out "$out/$pair" "${small[@]}"
    semabs eval "$out/$pair" --data "$out/data" --out "$out/$pair.parquet" --workers 0 --device cpu \
        --grid 32
done
inputs=(--option 'network.network_inputs=[patch_masks, rgb, tsdf]')
semabs train completion --approach semantic_abstraction --data "$out/data" --out "$out/inputs" \
    "${small[@]}" "${inputs[@]}"
semabs eval "$out/inputs" --data "$out/data" --out "$out/inputs.parquet" --workers 0 --device cpu \
    --split validation --grid 32 --grid 60
semabs pointing "$out/data" --preset chefer_et_al --out "$out/pointing.md"
semabs summarize "$out"/completion/*.parquet --published --out "$out/completion.md"
semabs summarize "$out"/localization/*.parquet --published --out "$out/localization.csv"
echo "tables are in $out"
