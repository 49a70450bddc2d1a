#!/usr/bin/env bash
# The tables of docs/results.md, from the weights that ship: the held-out rooms, their relevancy, the
# evaluation of all seven networks. With a folder of train_weights.sh, the tables of all its seeds,
# and of the decoder that reads its volumes as the published one does. Carries on where it was cut
# off.
#   scripts/results.sh FOLDER [ROOMS_PER_SPLIT [TRAINED]]
set -euo pipefail
out=${1:?usage: results.sh FOLDER [ROOMS_PER_SPLIT [TRAINED]]}
rooms=${2:-24}
trained=${3:-}
core=$(dirname "$0")/../semabs_core
shipped=$(python -c 'from semabs_core.weights.shipped import FOLDER; print(FOLDER)')
semabs() { python -m semabs_core.cli "$@"; }
shared() { "$(dirname "$0")/shared.sh" "$@"; }
networks() {  # folders of the trained networks of a name, one per seed
    if [ -z "$trained" ]; then
        echo "$shipped/$1"
        return
    fi
    find "$trained/networks" -maxdepth 1 -name "$1-[0-9]*" | sort -V | while read -r folder; do
        if grep -qs '"cutoff"' "$folder/network.json"; then
            echo "$folder"
        else
            echo "$folder: its training has not ended; left out" >&2
        fi
    done
}

declare -A folders_of=() rows_of=() approaches=(
    [completion]="aware chefer ours ${trained:+reversed_axes}"
    [localization]="aware clip chefer ours"
)
if [ -z "$trained" ]; then  # the default's; trained otherwise than those they stand beside
    approaches[completion]+=" any"
    approaches[localization]+=" fine"
fi
name_of() {  # task and approach to the name of the networks
    case $2 in
        ours) echo "$1" ;;
        reversed_axes) echo "$1_published" ;;  # the published sampling
        *) echo "$1_$2" ;;
    esac
}
for task in completion localization; do
    for approach in ${approaches[$task]}; do
        name=$(name_of "$task" "$approach")
        folders_of[$name]=$(networks "$name" || true)
        [ -n "${folders_of[$name]}" ] || { echo "there is no trained $name" >&2; exit 1; }
    done
done

# Rows are made anew where the network, an encoder or how rows are made is another.
rules=("$core"/evaluation/*.py "$core"/{calibration,config,query_grid,relevancy,tiling}.py)
hash_of() { cat "$1"/network.* "$shipped"/encoder*/* "${rules[@]}" | sha256sum | head -c 8; }
splits="unseen_instances=$rooms,unseen_instances_dr=$rooms,unseen_instances_synonyms=$rooms"
semabs data rooms --out "$out/rooms" --split "$splits" --seed 0
shared data relevancy "$out/rooms" --encoder shipped:encoder \
    --preset ours --preset chefer_et_al --augmentations 0
shared data relevancy "$out/rooms" --encoder shipped:encoder_fine \
    --preset mosaic --tag fine --augmentations 0
for preset in ours chefer_et_al mosaic@fine; do
    semabs pointing "$out/rooms" --preset "$preset" --out "$out/pointing_$preset.md"
done
mkdir -p "$out/rows"
for task in completion localization; do
    pooled=() single=()
    for approach in ${approaches[$task]}; do
        mapfile -t folders <<<"${folders_of[$(name_of "$task" "$approach")]}"
        for folder in "${folders[@]}"; do
            of=$(hash_of "$folder")
            rows="$out/rows/$(basename "$folder")-$of-$rooms.parquet"
            of_encoder=()
            case $approach in any | fine) of_encoder=(--preset mosaic@fine) ;; esac
            [ -f "$rows" ] || shared eval "$folder" --data "$out/rooms" --out "$rows" \
                --workers 0 --grid 32 "${of_encoder[@]}"
            pooled+=("$approach=$rows")
            rows_of[$(basename "$folder")]=$rows
            single+=("$(basename "$folder")=$rows")
        done
    done
    semabs summarize "${pooled[@]}" --cutoff stored --intervals 1000 --against ours \
        --out "$out/$task${trained:+_seeds}.md"
    [ -z "$trained" ] ||
        semabs summarize "${single[@]}" --cutoff stored --out "$out/${task}_each_seed.md"
done
if [ -z "$trained" ]; then
    # As a robot is answered, of the default and `ours`, whose cutoffs are fitted to natural colours.
    semabs data rooms --out "$out/fit" --split validation=12 --seed 40 --option points=60000
    shared data relevancy "$out/fit" --encoder shipped:encoder --preset ours \
        --augmentations 0 --source rgb
    declare -A default_of=([completion]=any [localization]=fine)
    for task in completion localization; do
        fitted="$out/${task}_$(hash_of "$shipped/$task")"
        rows="$out/rows/$(basename "$fitted")-$rooms.parquet"
        if [ ! -f "$rows" ]; then
            rm -rf "$fitted"
            cp -r "$shipped/$task" "$fitted"
            semabs calibrate "$fitted" --data "$out/fit" --preset ours
            shared eval "$fitted" --data "$out/rooms" --out "$rows" --workers 0 --grid 32
        fi
        default=${default_of[$task]}
        semabs summarize "ours=$rows" "$default=${rows_of[${task}_$default]}" --answered \
            --intervals 1000 --out "$out/${task}_answered.md"
    done
fi
echo "tables are in $out"
