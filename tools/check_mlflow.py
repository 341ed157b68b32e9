"""A run as MLflow's own client reads it back, against what the run's folder says.

    check_mlflow.py ADDRESS RUN_FOLDER MODEL_NAME
"""

import collections
import filecmp
import json
import pathlib
import sys
import tempfile
import tomllib

import mlflow

address, folder, model = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
mlflow.set_tracking_uri(address)
client = mlflow.MlflowClient()
experiment = client.get_experiment_by_name("limbeck")
runs = client.search_runs([experiment.experiment_id])
# Runs of others on the same server have other names.
runs = [run for run in runs if run.info.run_name == str(folder)]
assert len(runs) == 1, [run.info for run in runs]
run = runs[0]
assert run.info.status == "FINISHED", run.info

settings = tomllib.loads((folder / "run.toml").read_text())
for key in ["train.seed", "optim.learning_rate", "features.max_length", "task"]:
    value = settings
    for part in key.split("."):
        value = value[part]
    told = run.data.params[key]
    same = told == value if isinstance(value, str) else float(told) == value
    assert same, (key, value, told)

lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
points = 0
names = sorted({name for line in lines for name in line} - {"step", "time"})
for name in names:
    expected = collections.Counter(
        (line["step"], float(line[name])) for line in lines if line.get(name) is not None
    )
    told = collections.Counter(
        (point.step, point.value)
        for point in client.get_metric_history(run.info.run_id, name)
        if point.value == point.value
    )
    assert told == expected, (name, told - expected, expected - told)
    points += expected.total()

with tempfile.TemporaryDirectory() as place:
    for name in ["run.toml", "train.jsonl", "metrics.json", "limbeck.json", "report.html"]:
        got = client.download_artifacts(run.info.run_id, name, place)
        assert filecmp.cmp(got, folder / name, shallow=False), name
    versions = client.search_model_versions(f"name='{model}'")
    assert [version.run_id for version in versions] == [run.info.run_id], versions
    got = mlflow.artifacts.download_artifacts(versions[0].source + "/model.safetensors", dst_path=place)
    assert filecmp.cmp(got, folder / "model.safetensors", shallow=False), "model.safetensors"
print(
    f"MLflow {mlflow.__version__}: {len(run.data.params)} parameters, {points} points of "
    f"{len(names)} metrics, 5 files and the registered model read back, each as it is in the folder"
)
