#!/usr/bin/env bash
# Tests against real programs of others, each installed into target/real-parts, but for
# Chromium and Open MPI, which come from the system. What cannot be installed (no Python, no package
# index) is skipped with a word about it, and so is, of what takes minutes, all that would end later
# than 24 minutes after LIMBECK_CHECK_BEGUN (seconds since 1970), if that is given.
#
#   tools/real_parts.sh [LIMBECK]     the binary; default target/release/limbeck
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
limbeck=$(realpath "${1:-$target/release/limbeck}")
work=$target/real-parts
mkdir -p "$work"
work=$(realpath "$work")

# Whether a part that takes so many seconds still has its place.
fits() { # SECONDS PART
    local left=$((${LIMBECK_CHECK_BEGUN:-$(date +%s)} + 24 * 60 - $(date +%s)))
    (($1 < left)) || { echo "$2: takes $1 seconds, and $left are left: skipped" && return 1; }
}

# Builds the program with some features, beside the one that is tested.
featured() { # FEATURES
    local profile
    profile=$(basename "$(dirname "$limbeck")")
    [[ -x $work/limbeck ]] || cp "$limbeck" "$work/limbeck"
    cargo build -q --profile "$profile" -p limbeck --features "$1" 2>&1 | tee "$work/build.log"
    # The lints above see the default features alone.
    ! grep -q -e '--> crates/' "$work/build.log" || return 1
    cp "$limbeck" "$work/limbeck-$1"
    cp "$work/limbeck" "$limbeck"
}

# Installs what a check needs; where it cannot, says that the check is skipped.
has() {
    local check=$1
    shift
    { [[ -x $work/venv/bin/pip ]] || python3 -m venv "$work/venv"; } >"$work/pip.log" 2>&1 &&
        "$work/venv/bin/pip" install -q --disable-pip-version-check "$@" >>"$work/pip.log" 2>&1 ||
        { echo "$check: $* cannot be installed here: skipped" && return 1; }
}

# TensorBoard: a run is killed in the middle and resumed; its reader must see every number of
# train.jsonl once.
tensorboard() {
    local run=$work/run train
    rm -rf "$run"
    train=("$limbeck" finetune --task squad_v2 --model "$work/demo/student"
        --train "$work/demo/data/train.json" --dev "$work/demo/data/dev.json"
        --max-length 128 --doc-stride 32 --max-query-length 40
        --epochs 40 --save-steps 7 --eval-steps 50 --set train.logging_steps=5
        --max-dev-questions 50 --out "$run" --quiet)
    "${train[@]}" >/dev/null &
    local child=$!
    # Until some steps lie behind the last checkpoint.
    for _ in $(seq 600); do
        [[ -s $run/train.jsonl && $(wc -l <"$run/train.jsonl") -ge 8 ]] && break
        sleep 0.05
    done
    kill -9 "$child"
    wait "$child" 2>/dev/null || true
    if [[ -s $run/metrics.json && ! -d $run/checkpoint ]]; then
        echo "the run ended before it could be killed" >&2
        return 1
    fi
    "${train[@]}" >/dev/null
    "$work/venv/bin/python" tools/check_tensorboard.py "$run"
}

# ONNX Runtime: of a BERT, of one that has lost heads, and of a DistilBERT it must compute what
# Limbeck does, also in padded batches.
onnx() {
    local models=$work/onnx name length
    rm -rf "$models"
    mkdir -p "$models/distilbert"
    cp -r "$work/demo/distilled" "$models/bert"
    "$limbeck" finetune --task squad_v2 --model "$work/demo/teacher" --set model.heads=3 \
        --train "$work/demo/data/train.json" --max-length 128 --doc-stride 32 --epochs 1 \
        --out "$models/pruned" --quiet >/dev/null
    cp crates/limbeck-model/tests/golden/distilbert/{config.json,model.safetensors} \
        "$models/distilbert"
    head -n 100 "$work/demo/student/vocab.txt" >"$models/distilbert/vocab.txt"
    cp "$work/demo/student/tokenizer_config.json" "$models/distilbert"
    for name in bert pruned distilbert; do
        "$limbeck" export --model "$models/$name" --format onnx --out "$models/$name-onnx" \
            >/dev/null
        length=128
        [[ $name == distilbert ]] && length=48 # all the positions it has
        "$work/venv/bin/python" tools/check_onnx.py --limbeck "$limbeck" \
            --max-length "$length" --doc-stride 8 "$models/$name" "$models/$name-onnx/model.onnx"
    done
}

# MPI: two processes under mpirun must train the model that one trains.
mpi() {
    command -v mpicc >/dev/null ||
        apt-get install -y --no-install-recommends libopenmpi-dev openmpi-bin libclang-dev \
            >"$work/apt-mpi.log" 2>&1 || { echo "MPI: Open MPI cannot be installed here: skipped" && return; }
    local data=("$work/demo/data/train.json" --dev "$work/demo/data/dev.json")
    local train=(finetune --task squad_v2 --model "$work/demo/untrained/student" --train "${data[@]}"
        --max-length 128 --doc-stride 32 --max-query-length 40 --learning-rate 2e-3 --epochs 8
        --set optim.epsilon=1e-4 --threads 1 --overwrite --quiet --json)
    featured mpi
    "$limbeck" "${train[@]}" --out "$work/one" >"$work/one.json"
    mpirun --allow-run-as-root --oversubscribe -np 2 "$work/limbeck-mpi" "${train[@]}" \
        --out "$work/two" >"$work/two.json"
    "$work/venv/bin/python" tools/check_ranks.py "$work/one" "$work/two"
}

# Starts a server of the demo's models on a free port; `$address` is where.
start_server() {
    rm -rf "$work/int8"
    "$limbeck" quantize --model "$work/demo/distilled" --out "$work/int8" --quiet >/dev/null
    "$limbeck" serve --model "$work/demo/distilled" --model "$work/int8" --port 0 --json \
        >"$work/serve.json" 2>"$work/serve.log" &
    server=$!
    for _ in $(seq 200); do
        [[ -s $work/serve.json ]] && break
        sleep 0.05
    done
    address=http://$(sed 's/.*"address":"\([^"]*\)".*/\1/' "$work/serve.json")
}

# It must end by itself, with what was under way done.
stop_server() {
    kill -TERM "$server"
    wait "$server"
}

# Chromium: the page, by keyboard and mouse, wide and narrow.
page() {
    "$work/venv/bin/python" tools/check_page.py "$address"
}

# Schemathesis: requests made from /openapi.json, right ones and wrong ones; the server must
# answer as it says there.
openapi() {
    # What excludes what in a request is told in words there, not in the schema.
    "$work/venv/bin/schemathesis" run "$address/openapi.json" --max-examples 40 --checks all \
        --exclude-checks positive_data_acceptance --generation-deterministic \
        >"$work/schemathesis.txt" 2>&1 || { tail -n 60 "$work/schemathesis.txt" && return 1; }
    echo "$address: answers as /openapi.json says"
}

# Load: 64 clients at once; every request gets its answer, and memory does not grow.
load() {
    local before after
    local bench=("$limbeck" bench serve --url "$address" --data "$work/demo/data/dev.json" --json)
    "${bench[@]}" --requests 2000 >/dev/null
    before=$(resident)
    "${bench[@]}" --requests 6000 >"$work/load.json"
    after=$(resident)
    grep -q '"statuses":{"200":6000}' "$work/load.json" || { cat "$work/load.json" && return 1; }
    echo "64 clients: 6000 answers, resident memory $before kB before, $after kB after"
    ((after < before + before / 10))
}

resident() {
    awk '/VmRSS/ { print $2 }' "/proc/$server/status"
}

"$limbeck" demo --questions 600 --out "$work/demo" --overwrite --quiet >"$work/demo.txt"
if has TensorBoard tensorboard; then tensorboard; fi
if has "ONNX Runtime" onnx onnxruntime transformers; then onnx; fi

start_server
trap 'kill "$server" 2>/dev/null || true' EXIT
load
if has Chromium playwright; then
    if "$work/venv/bin/python" -c "import sys; sys.path.insert(0, 'tools')
import check_page; check_page.chromium()" 2>/dev/null ||
        apt-get install -y --no-install-recommends chromium >"$work/apt.log" 2>&1; then
        page
    else
        echo "Chromium cannot be installed here: the page is not tested"
    fi
fi
if has Schemathesis schemathesis; then openapi; fi
stop_server

# What takes minutes.
if fits 480 "object stores and CloudWatch Logs"; then
    featured cloud,cloudwatch
    tools/store.sh "$work/limbeck-cloud,cloudwatch" "$work/store"
    tools/trackers.sh cloudwatch "$work/limbeck-cloud,cloudwatch" "$work"
fi
if fits 240 "Ray"; then tools/ray_cluster.sh "$limbeck" "$work/ray"; fi
if fits 240 "MPI"; then mpi; fi
if fits 300 "MLflow"; then tools/trackers.sh mlflow "$limbeck" "$work"; fi
