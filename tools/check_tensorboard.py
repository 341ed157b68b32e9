#!/usr/bin/env python3
"""Check that TensorBoard's own reader sees of a run what its train.jsonl says.

    python tools/check_tensorboard.py RUN

RUN is an output folder of `finetune`, `distill` or `run`. Every number of train.jsonl must
be read from RUN/tensorboard, once, and nothing else: also after a run that was killed and
resumed, whose event files tell the reader to forget what was taken back.
Needs `pip install tensorboard`.
"""

import json
import math
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def written(path):
    """(tag, step) to value, from train.jsonl."""
    points = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        step, _ = entry.pop("step"), entry.pop("time")
        for tag, value in entry.items():
            points[tag, step] = math.nan if value is None else value
    return points


def seen(folder):
    """(tag, step) to the values at it, from the event files."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0: keep every point
    reader.Reload()
    points = {}
    for tag in reader.Tags()["scalars"]:
        for point in reader.Scalars(tag):
            points.setdefault((tag, point.step), []).append(point.value)
    return points


def same(value, others):
    """Whether `others` is `value` alone, as a float of 32 bits."""
    if len(others) != 1:
        return False
    both_nan = math.isnan(value) and math.isnan(others[0])
    return both_nan or math.isclose(value, others[0], rel_tol=1e-6, abs_tol=1e-30)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    run = Path(sys.argv[1])
    expected, found = written(run / "train.jsonl"), seen(run / "tensorboard")
    wrong = [key for key, value in expected.items() if not same(value, found.get(key, []))]
    wrong += [key for key in found if key not in expected]
    for tag, step in wrong[:5]:
        values = found.get((tag, step), [])
        print(f"{tag} at step {step}: {expected.get((tag, step))} written, {values} read")
    if wrong or not expected:
        sys.exit(f"{run}: {len(wrong)} of {len(expected)} points differ")
    print(f"{run}: {len(expected)} points, all read by TensorBoard")


if __name__ == "__main__":
    main()
