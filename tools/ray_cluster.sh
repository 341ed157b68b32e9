#!/usr/bin/env bash
# Searches and runs on a real Ray cluster of two nodes, on this machine: in a network namespace
# that has nothing but loopback.
#
#   tools/ray_cluster.sh [LIMBECK [WORK]]     needs root, `ip netns` and the Python package ray
#
# WORK (default target/ray) holds a virtual environment, which is made if there is none. PARTS
# says what is done (default: commands run):
#
# - commands: a search whose trials are commands. A node is killed in the middle of a trial, the
#   dashboard hangs for half a minute, and the search itself is killed and started again; in the
#   end every trial of the study must be complete, once, with its own values.
# - run: a recipe on the demo's data as one job. Its node dies in the middle, it goes on from its
#   checkpoint in a shared folder, and ends with the same bytes as one that was left alone; a third
#   one's results are fetched from the node.
# - recipe: the search of recipes/sigopt-multimetric-small.toml, cut down by SETS and TRIALS, with a
#   node killed in the middle of a trial. LIMBECK_MODELS and SQUAD_DIR hold what the recipe reads;
#   LIMBECK_TEACHER is its teacher, which is trained, with TEACHER_SETS, if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/await.sh

target=${CARGO_TARGET_DIR:-target}
limbeck=$(realpath "${1:-$target/release/limbeck}")
work=${2:-$target/ray}
mkdir -p "$work"
work=$(realpath "$work")
project=$PWD
trials=${TRIALS:-10}
space=limbeck-ray-$$

[[ $EUID -eq 0 ]] && ip netns add "$space" 2>/dev/null || {
    echo "Ray: no network namespace can be made here: skipped"
    exit 0
}
ip netns exec "$space" ip link set lo up
inside() { ip netns exec "$space" "$@"; }
cleanup() {
    local pids
    for signal in TERM KILL KILL; do
        pids=$(ip netns pids "$space" 2>/dev/null || true)
        [[ -n $pids ]] && kill -"$signal" $pids 2>/dev/null || true
        sleep 2
    done
    ip netns del "$space" || true
}
trap cleanup EXIT

if ! [[ -x $work/venv/bin/ray ]]; then
    python3 -m venv "$work/venv" >"$work/pip.log" 2>&1 &&
        "$work/venv/bin/pip" install -q --disable-pip-version-check 'ray[default]' \
            >>"$work/pip.log" 2>&1 || {
        echo "Ray: ray[default] cannot be installed here: skipped"
        exit 0
    }
fi
"$work/venv/bin/python" tools/check_clusters.py docs/cluster/*.yaml
ray=$work/venv/bin/ray
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$work/token
# So that a dead node is seen within seconds; a machine that is busy with other things needs more.
export RAY_health_check_period_ms=${RAY_health_check_period_ms:-500}
export RAY_health_check_timeout_ms=${RAY_health_check_timeout_ms:-1000}
export RAY_health_check_failure_threshold=3
head -c 32 /dev/urandom | base64 | tr -d '\n' >"$work/token"

node=(--num-cpus=1 --num-gpus=0 --object-store-memory=100000000 --include-log-monitor=false
    --disable-usage-stats)
cd "$work"
rm -rf ./*.study ./*.study.trials tools runs shared-* fetched node-*.log "/tmp/limbeck-ray"
# 127.0.0.1 would be replaced by the address of an interface.
inside "$ray" start --head --node-ip-address=127.0.0.2 --port=6379 --dashboard-host=127.0.0.1 \
    --dashboard-port=8265 --temp-dir=/tmp/limbeck-ray "${node[@]}" >node-1.log 2>&1
api() {
    inside curl -sS -m 10 -H "Authorization: Bearer $(cat "$work/token")" \
        "http://127.0.0.1:8265$1"
}
ask() { inside "$work/venv/bin/python" "$project/tools/ray_cluster.py" "$@"; }
start_second() {
    # Without its own port for the agent, the logs of the node's jobs cannot be read.
    inside "$ray" start --address=127.0.0.2:6379 --node-ip-address=127.0.0.3 \
        --dashboard-agent-listen-port=52366 --block "${node[@]}" >>node-2.log 2>&1 &
    second=$!
    for _ in $(seq 60); do
        sleep 1
        [[ $(api /api/v0/nodes | grep -o '"state": *"ALIVE"' | wc -l) == 2 ]] && break
    done
}
# All processes below one, itself included.
below() {
    local child
    echo "$1"
    for child in $(ps -o pid= --ppid "$1"); do below "$child"; done
}
kill_second() {
    kill -9 $(below "$second") 2>/dev/null || true
    wait "$second" 2>/dev/null || true
}
say() { printf '%5.1f s  %s\n' "$(echo "$(date +%s.%N) - $begun" | bc)" "$*"; }
finished() {
    if [[ -f $study ]]; then grep -c '"event":"complete"' "$study" || true; else echo 0; fi
}
wait_for() { await 600 "((\$(finished) >= $1))"; }
on=(--on ray=http://127.0.0.1:8265)

commands() {
    study=commands.study
    mkdir -p tools
    printf '%s\n' '#!/bin/sh' 'echo "{\"step\": 1, \"same\": $1}"' 'sleep 6' 'echo "$1" >>"$2"' \
        'echo "{\"same\": $1, \"other\": $1}"' >tools/trial.sh
    chmod +x tools/trial.sh
    printf '%s\n' '[parameters.x]' "type = 'real'" 'low = 0' 'high = 1' '[metrics.same]' \
        "goal = 'minimize'" '[metrics.other]' "goal = 'maximize'" >space.toml
    search() {
        inside "$limbeck" search --space space.toml --study "$study" --sampler random --seed 1 \
            --trials "$trials" --parallel 3 --max-concurrent 2 "${on[@]}" --ship tools \
            --command "tools/trial.sh {x} $work/runs" --retries 5 "$@"
    }
    begun=$(date +%s.%N)
    search >first.json 2>first.log &
    local first=$! dashboard
    wait_for 1
    ask second "$work/token"
    sleep 1
    say "the second node is killed in the middle of a trial, $(finished) trials complete"
    kill_second
    await 300 "grep -q '\"event\":\"lose\"' '$study'"
    say "the study knows that the trial is lost, $(finished) trials complete"
    dashboard=$(for pid in $(ip netns pids "$space"); do
        tr "\0" " " 2>/dev/null <"/proc/$pid/cmdline" | grep -q 'dashboard/dashboard.py' && echo "$pid"
    done | head -1 || true)
    say "the dashboard (process ${dashboard:-?}) hangs for 30 s, $(finished) trials complete"
    [[ -n $dashboard ]] && { kill -STOP "$dashboard" && sleep 30 && kill -CONT "$dashboard"; }
    wait_for $((trials / 2 + 1))
    say "the search is killed with its workers, $(finished) trials complete"
    kill -9 $(below "$first") 2>/dev/null || true
    wait "$first" 2>/dev/null || true
    search --json >second.json 2>second.log
    say "done, $(finished) trials complete"
    ask same "$study" "$trials" runs
}

run() {
    [[ -d demo/data ]] || "$limbeck" demo --questions 300 --out demo --quiet >/dev/null
    cat >run.toml <<'RUN'
task = "squad_v2"
model.path = "demo/untrained/student"
data = { train = "demo/data/train.json", dev = "demo/data/dev.json" }
features = { max_length = 128, doc_stride = 32, max_query_length = 40 }
train = { epochs = 30, save_steps = 20, eval_steps = 100000 }
optim.learning_rate = 1e-3
RUN
    local name
    begun=$(date +%s.%N)
    one() { inside "$limbeck" run run.toml "${on[@]}" --out "$1" "${@:2}" >"$1.json" 2>"$1.log"; }
    # One on each node.
    local runs=()
    for name in shared-a shared-b; do
        one "$name" --shared-out &
        runs+=($!)
    done
    ask second "$work/token"
    await 300 '[[ -d shared-a/checkpoint && -d shared-b/checkpoint ]]'
    say "two recipes run, each with a checkpoint; the second node is killed"
    kill_second
    start_second
    wait "${runs[0]}" || { cat shared-a.log && return 1; }
    wait "${runs[1]}" || { cat shared-b.log && return 1; }
    grep -h 'is lost' shared-a.log shared-b.log
    say "both are done"
    cmp shared-a/model.safetensors shared-b/model.safetensors
    one fetched || { cat fetched.log && return 1; }
    say "a third one's results are fetched: $(cat fetched.json)"
    cmp shared-a/model.safetensors fetched/model.safetensors
    echo "the model of the run whose node died, and the fetched one, are those of the other, byte by byte"
}

recipe() {
    study=recipe.study
    export LIMBECK_TEACHER=${LIMBECK_TEACHER:-$work/teacher}
    export LIMBECK_START=${LIMBECK_START:-$LIMBECK_MODELS/minilm-l6}
    local set sets=() recipe=$project/recipes/sigopt-multimetric-small.toml
    if ! [[ -f $LIMBECK_TEACHER/model.safetensors ]]; then
        for set in ${TEACHER_SETS:-data.max_train_questions=800 train.epochs=1}; do
            sets+=(--set "$set")
        done
        "$limbeck" finetune --task squad_v2 --model "$LIMBECK_MODELS/minilm-l6" \
            --train "$SQUAD_DIR/train-v2.0.json" --learning-rate 3e-4 --warmup 0.1 "${sets[@]}" \
            --threads 1 --out "$LIMBECK_TEACHER"
    fi
    sets=()
    for set in ${SETS:-data.max_train_questions=100 data.max_dev_questions=100 train.epochs=1}; do
        sets+=(--set "$set")
    done
    begun=$(date +%s.%N)
    inside "$limbeck" search --space "$recipe" --recipe "$recipe" --study "$study" \
        --trials "$trials" --parallel 2 "${on[@]}" "${sets[@]}" \
        --ship "$LIMBECK_MODELS" --ship "$SQUAD_DIR" --ship "$LIMBECK_TEACHER" \
        --retries 5 --json >recipe.json 2>recipe.log &
    local search=$!
    wait_for 2
    ask second "$work/token"
    sleep 10
    say "the second node is killed in the middle of a trial, $(finished) trials complete"
    kill_second
    await 300 "grep -q '\"event\":\"lose\"' '$study'"
    say "the study knows that the trial is lost, $(finished) trials complete"
    start_second
    say "a new second node is there"
    wait "$search" || { cat recipe.log && return 1; }
    say "done, $(finished) trials complete"
    ask recipe "$study" "$trials"
    echo "packages, each given once: $(stat -c '%s' "$study.trials"/*.zip | sort -n | tr '\n' ' ')bytes"
}

start_second
echo "Ray $(api /api/version | sed 's/.*"ray_version": *"\([^"]*\)".*/\1/'), two nodes of one processor"
again=
for part in ${PARTS:-commands run}; do
    [[ $again ]] && ! kill -0 "$second" 2>/dev/null && start_second
    again=yes
    "$part"
done
