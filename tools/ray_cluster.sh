#!/usr/bin/env bash
# A search on a real Ray cluster of two nodes, on this machine: in a network namespace that has
# nothing but loopback. A node is killed in the middle of a trial, the dashboard hangs for half a
# minute, and the search itself is killed and started again; in the end every trial of the study
# must be complete, once, with its own values.
#
#   tools/ray_cluster.sh [LIMBECK [WORK]]     needs root, `ip netns` and the Python package ray
#
# WORK (default target/ray) holds a virtual environment, which is made if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
limbeck=$(realpath "${1:-$target/release/limbeck}")
work=${2:-$target/ray}
mkdir -p "$work"
work=$(realpath "$work")
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
ray=$work/venv/bin/ray
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$work/token
# So that a dead node is seen within seconds.
export RAY_health_check_period_ms=500 RAY_health_check_failure_threshold=3
export RAY_health_check_timeout_ms=1000
head -c 32 /dev/urandom | base64 | tr -d '\n' >"$work/token"

node=(--num-cpus=1 --num-gpus=0 --object-store-memory=100000000 --include-log-monitor=false
    --disable-usage-stats)
cd "$work"
rm -rf s.study s.study.trials tools runs node-*.log "/tmp/limbeck-ray"
# 127.0.0.1 would be replaced by the address of an interface.
inside "$ray" start --head --node-ip-address=127.0.0.2 --port=6379 --dashboard-host=127.0.0.1 \
    --dashboard-port=8265 --temp-dir=/tmp/limbeck-ray "${node[@]}" >node-1.log 2>&1
# Without its own port for the agent, the logs of the node's jobs cannot be read.
inside "$ray" start --address=127.0.0.2:6379 --node-ip-address=127.0.0.3 \
    --dashboard-agent-listen-port=52366 --block "${node[@]}" >node-2.log 2>&1 &
second=$!
api() {
    inside curl -sS -m 10 -H "Authorization: Bearer $(cat "$work/token")" \
        "http://127.0.0.1:8265$1"
}
for _ in $(seq 60); do
    sleep 1
    [[ $(api /api/v0/nodes | grep -o '"state": *"ALIVE"' | wc -l) == 2 ]] && break
done
echo "Ray $(api /api/version | sed 's/.*"ray_version": *"\([^"]*\)".*/\1/'), two nodes of one processor"

mkdir -p tools
cat >tools/trial.sh <<'TRIAL'
#!/bin/sh
# Takes its time, and notes that it ran.
echo "{\"step\": 1, \"same\": $1}"
sleep 6
echo "$1" >>"$2"
echo "{\"same\": $1, \"other\": $1}"
TRIAL
chmod +x tools/trial.sh
cat >space.toml <<'SPACE'
[parameters.x]
type = 'real'
low = 0
high = 1
[metrics.same]
goal = 'minimize'
[metrics.other]
goal = 'maximize'
SPACE
search() {
    inside "$limbeck" search --space space.toml --study s.study --sampler random --seed 1 \
        --trials "$trials" --parallel 2 --on ray=http://127.0.0.1:8265 --ship tools \
        --command "tools/trial.sh {x} $work/runs" --retries 5 "$@"
}
# All processes below one, itself included.
below() {
    local child
    echo "$1"
    for child in $(ps -o pid= --ppid "$1"); do below "$child"; done
}
say() { printf '%5.1f s  %s\n' "$(echo "$(date +%s.%N) - $begun" | bc)" "$*"; }
finished() {
    if [[ -f s.study ]]; then grep -c '"event":"complete"' s.study || true; else echo 0; fi
}
wait_for() { until (($(finished) >= $1)); do sleep 0.5; done; }

begun=$(date +%s.%N)
search >first.json 2>first.log &
first=$!
wait_for 1
# Until a job begins to run on the second node.
inside "$work/venv/bin/python" - "$work/token" <<'BEGUN'
import json, sys, time, urllib.request

token = open(sys.argv[1]).read()
url = "http://127.0.0.1:8265/api/jobs/"
request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
known = None
while known is None or known >= running:
    running = {
        job["submission_id"]
        for job in json.load(urllib.request.urlopen(request, timeout=60))
        if job["status"] == "RUNNING" and "127.0.0.3" in (job["driver_agent_http_address"] or "")
    }
    known = running if known is None else known & running
    time.sleep(0.1)
BEGUN
sleep 1
say "the second node is killed in the middle of a trial, $(finished) trials complete"
kill -9 $(below "$second") 2>/dev/null || true
until grep -q '"event":"lose"' s.study; do sleep 0.5; done
say "the study knows that the trial is lost, $(finished) trials complete"
dashboard=$(for pid in $(ip netns pids "$space"); do
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'dashboard/dashboard.py' && echo "$pid"
done | head -1 || true)
say "the dashboard (process ${dashboard:-?}) hangs for 30 s, $(finished) trials complete"
[[ -n $dashboard ]] && { kill -STOP "$dashboard" && sleep 30 && kill -CONT "$dashboard"; }
wait_for $((trials / 2 + 1))
say "the search is killed with its workers, $(finished) trials complete"
kill -9 $(below "$first") 2>/dev/null || true
wait "$first" 2>/dev/null || true
search --json >second.json 2>second.log
say "done, $(finished) trials complete"

"$work/venv/bin/python" - "$trials" <<'CHECK'
import collections, json, sys

events = [json.loads(line) for line in open("s.study")]
of = lambda kind: [event for event in events if event["event"] == kind]
values = {event["trial"]: event["params"]["x"] for event in of("suggest")}
complete = collections.Counter(event["trial"] for event in of("complete"))
assert len(values) == int(sys.argv[1]), values
assert all(complete[trial] == 1 for trial in values), complete
for event in of("complete"):
    assert event["metrics"]["same"] == values[event["trial"]], event
for event in of("lose"):
    print(f"trial {event['trial']}, attempt {event['attempt']}: {event['reason']}")
assert any("lost its job" in event["reason"] for event in of("lose")), "the node's trial"
runs = len(open("runs").readlines())
print(f"{len(values)} trials, each complete once with its own values; {runs} commands ran to their end")
CHECK
