#!/usr/bin/env python3
"""Compare a run of one process with the same run of several: check_ranks.py ONE SEVERAL

Losses of every reported step must agree to a thousandth, the scores of the last evaluation to one
answer in a hundred. Both did learn something.
"""

import json
import sys
from pathlib import Path


def read(folder):
    lines = [json.loads(line) for line in (Path(folder) / "train.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    scores = [line["eval_f1"] for line in lines if "eval_f1" in line]
    return losses, scores


(one, one_scores), (several, several_scores) = map(read, sys.argv[1:])
assert len(one) == len(several) > 0, (len(one), len(several))
worst = max(abs(a - b) / a for a, b in zip(one, several))
print(
    f"{len(one)} losses, from {one[0]:.4f} to {one[-1]:.4f}, differ by {worst:.1e} at most; "
    f"f1 {one_scores[-1]:.2f} and {several_scores[-1]:.2f}"
)
assert one[-1] < one[0] / 2, "it has learnt nothing"
assert worst < 1e-3
assert abs(one_scores[-1] - several_scores[-1]) <= 1.0
