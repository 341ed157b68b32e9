#!/usr/bin/env bash
# Tests against real programs of others, each installed into target/real-parts. What cannot
# be installed (no Python, no package index) is skipped with a word about it.
#
#   tools/real_parts.sh [LIMBECK]     the binary; default target/release/limbeck
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
limbeck=$(realpath "${1:-$target/release/limbeck}")
work=$target/real-parts
mkdir -p "$work"

# TensorBoard: a run is killed in the middle and resumed; its reader must see every number of
# train.jsonl once.
tensorboard() {
    local run=$work/run train
    rm -rf "$run"
    "$limbeck" demo --questions 600 --out "$work/demo" --overwrite --quiet >"$work/demo.txt"
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

if ! python3 -m venv "$work/venv" || ! "$work/venv/bin/pip" install -q --disable-pip-version-check \
    tensorboard >"$work/pip.log" 2>&1; then
    echo "TensorBoard cannot be installed here: skipped"
    exit 0
fi
tensorboard
