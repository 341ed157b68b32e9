#!/usr/bin/env bash
# Models, data and results in a real S3-compatible server (s3s-fs) on loopback, over connections that
# fail: a run that reads all from there must end with the bytes of one that reads local files, and one
# that is kept there must come to them too when its machine is lost.
#
#   tools/store.sh LIMBECK [WORK]     LIMBECK was built with `--features cloud`
#
# WORK (default target/store) gets s3s-fs, which cargo builds if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/await.sh

limbeck=$(realpath "$1")
work=${2:-${CARGO_TARGET_DIR:-target}/store}
mkdir -p "$work"
work=$(realpath "$work")
project=$PWD
[[ -x $work/bin/s3s-fs ]] ||
    cargo install -q --debug s3s-fs --version 0.14.1 --locked --features binary --root "$work" \
        >"$work/install.log" 2>&1 || {
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
    await 10 "(exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null"
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

# A run that is kept there, on machines that are lost: each has its own cache, and no other trace.
kept() { # MACHINE ARGUMENTS...
    LIMBECK_CACHE=$work/$1 "$limbeck" finetune --task squad_v2 --model demo/untrained/student \
        --train demo/data/train.json --dev demo/data/dev.json --max-length 128 --doc-stride 32 \
        --max-query-length 40 --max-steps "${STEPS:-600}" --save-steps 20 --eval-steps 200 --threads 1 \
        "${@:2}"
}
rm -rf one two three four
kept none --out runs/whole >whole.txt 2>whole.log
manifest=bucket/models/runs/kept/.limbeck/manifest.json
kept one --out s3://models/runs/kept >kept1.txt 2>kept1.log &
run=$!
await 60 "grep -q checkpoint '$manifest' 2>/dev/null"
# The run itself, below the function's shell.
kill -9 $(pgrep -P "$run") 2>/dev/null || { echo "the run ended too early to be killed" && exit 1; }
wait "$run" || true
[[ ! -e bucket/models/runs/kept/model.safetensors ]] # it is not finished
kept two --out s3://models/runs/kept --json >kept2.txt 2>kept2.log
grep -q 'brought from there' kept2.log || { cat kept2.log && exit 1; }
grep -q '"out":"s3://models/runs/kept"' kept2.txt
for name in model.safetensors last/model.safetensors config.json metrics.json predictions.json; do
    cmp "runs/whole/$name" "bucket/models/runs/kept/$name"
done
[[ -z $(ls bucket/models/runs/kept/.limbeck/objects 2>/dev/null) ]]
# A machine that knows nothing of it finds it finished, and keeps nothing when told so.
kept three --out s3://models/runs/kept --remove-local >kept3.txt 2>kept3.log
grep -q 'finished already' kept3.log
[[ -z $(find three -type f) ]]
echo "object stores: a run whose machine was killed has the bytes of one that was not"
# What was tokenised on one machine is not tokenised on another.
for machine in one two; do
    STEPS=20 kept $machine --cache s3://models/cache --out "runs/$machine" \
        2>"cached-$machine.log" >/dev/null
done
cmp runs/one/model.safetensors runs/two/model.safetensors
[[ $(find bucket/models/cache -name 'features-*.bin' | wc -l) == 2 ]]
! grep -q 'brought' cached-one.log && [[ $(grep -c 'brought from there' cached-two.log) == 2 ]] || { cat cached-*.log && exit 1; }
# Other commands read from there and deliver to there.
"$limbeck" evaluate --model s3://models/runs/kept --data s3://models/data/dev.json --limit 50 \
    --out s3://models/scores --quiet >scores.txt
[[ -s bucket/models/scores/metrics.json && -s bucket/models/scores/predictions.json ]]
"$limbeck" quantize --model s3://models/runs/kept --out s3://models/small --quiet >/dev/null
"$limbeck" evaluate --model s3://models/small --data demo/data/dev.json --limit 50 --quiet >/dev/null
printf '[parameters.x]\ntype = "real"\nlow = 0.0\nhigh = 1.0\n[metrics.y]\ngoal = "minimize"\n' >space.toml
rm -rf s.study s.study.trials
"$limbeck" search --space space.toml --study s.study --sampler random --trials 3 --quiet \
    --command 'echo {\"y\": {x}}' >/dev/null
"$limbeck" study export --study s.study --format csv --out s3://models/study/trials.csv >/dev/null
[[ $(wc -l <bucket/models/study/trials.csv) == 4 ]]
echo "object stores: other commands read from there and deliver to there"
kill "$proxy"
wait "$proxy" || true
echo "object stores: connections $(cat faults.txt)"
[[ $(cat faults.txt) =~ [1-9][0-9]*\ refused ]] && [[ $(cat faults.txt) =~ [1-9][0-9]*\ cut ]]
