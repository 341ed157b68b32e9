#!/usr/bin/env bash
# Runs that tell real tracking servers, which fail on the way.
#
#   tools/trackers.sh mlflow LIMBECK WORK        MLflow, with names and passwords
#   tools/trackers.sh cloudwatch LIMBECK WORK    CloudWatch Logs as moto plays it; LIMBECK was built
#                                                with `--features cloudwatch`
#
# WORK/venv is a virtual environment, into which what is needed is installed; WORK/demo is what
# `limbeck demo` has written, and is made if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/await.sh

tracker=$1
limbeck=$(realpath "$2")
mkdir -p "$3"
work=$(realpath "$3")
project=$PWD
cd "$work"
[[ -d demo/data ]] || "$limbeck" demo --questions 300 --out demo --quiet >/dev/null
[[ -x venv/bin/pip ]] || python3 -m venv venv
server=
trap '[[ $server ]] && kill -9 -- "-$server" 2>/dev/null' EXIT

train() {
    "$limbeck" finetune --task squad_v2 --model demo/untrained/student \
        --train demo/data/train.json --dev demo/data/dev.json --max-length 128 --doc-stride 32 \
        --max-query-length 40 --eval-steps 200 --save-steps 50 --set train.logging_steps=2 \
        --max-steps "${STEPS:-3000}" --threads 1 "$@"
}
lines() { if [[ -f $1/train.jsonl ]]; then wc -l <"$1/train.jsonl"; else echo 0; fi; }
wait_for_lines() { await 600 "((\$(lines '$1') >= $2))"; }

mlflow() {
    local address=http://127.0.0.1:5017 run
    venv/bin/pip install -q --disable-pip-version-check 'mlflow[auth]' >pip.log 2>&1 || {
        echo "MLflow: it cannot be installed here: skipped"
        return
    }
    rm -rf mlflow mlruns m-*
    mkdir mlflow
    printf '%s\n' '[mlflow]' 'default_permission = READ' \
        "database_uri = sqlite:///$work/mlflow/auth.db" 'admin_username = admin' \
        'admin_password = correct horse battery' \
        'authorization_function = mlflow.server.auth:authenticate_request_basic_auth' \
        >mlflow/auth.ini
    export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
    start() {
        MLFLOW_AUTH_CONFIG_PATH=$work/mlflow/auth.ini MLFLOW_FLASK_SERVER_SECRET_KEY=secret \
            setsid venv/bin/mlflow server --app-name basic-auth --host 127.0.0.1 --port 5017 \
            --workers 1 --backend-store-uri "sqlite:///$work/mlflow/runs.db" \
            --artifacts-destination "$work/mlflow/files" >>mlflow/server.log 2>&1 &
        server=$!
        for _ in $(seq 240); do
            [[ $(curl -s -m 2 "$address/health" || true) == OK ]] && return
            sleep 0.5
        done
        tail -n 20 mlflow/server.log
        return 1
    }
    stop() {
        kill -9 -- "-$server"
        wait "$server" 2>/dev/null || true
        server=
    }
    start
    echo "MLflow: a server that wants a name and a password"
    STEPS=20 MLFLOW_TRACKING_TOKEN=wrong train --track "mlflow=$address" --out m-refused \
        >m-refused.txt 2>m-refused.log
    grep -q '401' m-refused.log || { cat m-refused.log && return 1; }
    export MLFLOW_TRACKING_USERNAME=admin MLFLOW_TRACKING_PASSWORD='correct horse battery'
    train --track "mlflow=$address" --register-model small-qa --out m-run >m-run.txt 2>m-run.log &
    run=$!
    wait_for_lines m-run 100
    # It has told something, and not all.
    await 120 "grep -q '\"lines\": [1-9]' m-run/tracking.json 2>/dev/null"
    stop
    echo "MLflow: stopped when $(lines m-run) lines were written, $(tr -d ' \n' <m-run/tracking.json)"
    wait_for_lines m-run $(($(lines m-run) + 100))
    start
    echo "MLflow: there again when $(lines m-run) lines were written"
    wait "$run" || { cat m-run.log && return 1; }
    # What it has missed at the end, if anything.
    train --track "mlflow=$address" --register-model small-qa --out m-run >>m-run.txt 2>>m-run.log
    venv/bin/python "$project/tools/check_mlflow.py" "$address" m-run small-qa
    ! grep -q 'correct horse' m-run.log m-refused.log
    stop
}

cloudwatch() {
    local address=http://127.0.0.1:5018 run
    venv/bin/pip install -q --disable-pip-version-check 'moto[server,logs]' boto3 >pip.log 2>&1 || {
        echo "CloudWatch Logs: moto cannot be installed here: skipped"
        return
    }
    rm -rf c-*
    export AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=s3cret AWS_REGION=eu-west-1
    export AWS_DEFAULT_REGION=$AWS_REGION AWS_EC2_METADATA_DISABLED=true
    venv/bin/python "$project/tools/check_cloudwatch.py" signature "$limbeck" finetune \
        --task squad_v2 --model demo/untrained/student --train demo/data/train.json \
        --max-length 128 --doc-stride 32 --max-query-length 40 --max-steps 2 --out c-signed \
        --track cloudwatch=/limbeck/runs
    export AWS_ENDPOINT_URL=$address
    train --track cloudwatch=/limbeck/runs --out c-run >c-run.txt 2>c-run.log &
    run=$!
    wait_for_lines c-run 50
    setsid venv/bin/moto_server -H 127.0.0.1 -p 5018 >moto.log 2>&1 &
    server=$!
    await 120 "grep -q '\"lines\": [1-9]' c-run/tracking.json 2>/dev/null"
    echo "CloudWatch Logs: there from line $(lines c-run) on; it hangs for 15 s"
    kill -STOP -- "-$server"
    sleep 15
    kill -CONT -- "-$server"
    wait "$run" || { cat c-run.log && return 1; }
    train --track cloudwatch=/limbeck/runs --out c-run >>c-run.txt 2>>c-run.log
    venv/bin/python "$project/tools/check_cloudwatch.py" group /limbeck/runs c-run
    ! grep -q s3cret c-run.log
}

"$tracker"
