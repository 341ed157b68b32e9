#!/usr/bin/env bash
# Models and data from a real S3-compatible server (s3s-fs) on loopback, over connections that fail:
# a run that reads all from there must end with the bytes of one that reads local files.
#
#   tools/store.sh LIMBECK [WORK]     LIMBECK was built with `--features cloud`
#
# WORK (default target/store) gets s3s-fs, which cargo builds if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

limbeck=$(realpath "$1")
work=${2:-${CARGO_TARGET_DIR:-target}/store}
mkdir -p "$work"
work=$(realpath "$work")
project=$PWD
[[ -x $work/bin/s3s-fs ]] ||
    cargo install -q s3s-fs --features binary --root "$work" >"$work/install.log" 2>&1 || {
    echo "object stores: s3s-fs cannot be installed here: skipped"
    exit 0
}
cd "$work"
[[ -d demo/data ]] || "$limbeck" demo --questions 300 --out demo --quiet >/dev/null
rm -rf bucket cache runs
mkdir -p bucket/models/student bucket/models/data cache runs
cp demo/untrained/student/* bucket/models/student
cp demo/data/*.json bucket/models/data

bin/s3s-fs --host 127.0.0.1 --port 5019 --access-key key --secret-key s3cret bucket >server.log 2>&1 &
server=$!
python3 "$project/tools/fault_proxy.py" 5020 5019 >faults.txt &
proxy=$!
trap 'kill "$server" "$proxy" 2>/dev/null || true' EXIT
for port in 5019 5020; do
    for _ in $(seq 50); do
        (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && break
        sleep 0.1
    done
done

export AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=s3cret AWS_REGION=us-east-1
export AWS_ENDPOINT_URL=http://127.0.0.1:5020 AWS_ALLOW_HTTP=true LIMBECK_CACHE=$work/cache
train() {
    "$limbeck" finetune --task squad_v2 --model "$1/student" --train "$2/train.json" \
        --dev "$2/dev.json" --max-length 128 --doc-stride 32 --max-query-length 40 --max-steps 20 \
        --threads 1 --out "runs/$3" >"$3.txt" 2>"$3.log" || { cat "$3.log" && return 1; }
}
fails() { # EXIT_CODE PATTERN ARGUMENTS...
    local code=0
    "$limbeck" evaluate --model "${@:3}" --data demo/data/dev.json >fails.txt 2>&1 || code=$?
    [[ $code == "$1" ]] && grep -q "$2" fails.txt && [[ $(wc -l <fails.txt) == 1 ]] &&
        ! grep -q s3cret fails.txt || { echo "exit code $code:" && cat fails.txt && return 1; }
}
train "$work/demo/untrained" "$work/demo/data" local
train s3://models s3://models/data store
cmp runs/local/model.safetensors runs/store/model.safetensors
echo "object stores: a run over failing connections has the bytes of a local one"
# What is in the cache needs nothing but the list; what is there has the store's bytes.
[[ $(find cache -name '.*.partial' | wc -l) == 0 ]]
cmp demo/data/train.json "$(find cache -name train.json)"
fails 2 'no such object' s3://models/nothing
AWS_SECRET_ACCESS_KEY=wrong fails 1 's3://models/student' s3://models/student
fails 2 'expected s3://BUCKET/NAME' s3://models
kill "$proxy"
wait "$proxy" || true
echo "object stores: connections $(cat faults.txt)"
[[ $(cat faults.txt) =~ [1-9][0-9]*\ refused ]] && [[ $(cat faults.txt) =~ [1-9][0-9]*\ cut ]]
