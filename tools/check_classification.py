#!/usr/bin/env python3
"""Check that Transformers loads a classifier written by Limbeck and computes the same logits.

  * AutoModelForSequenceClassification must find every tensor it wants and no other.
  * AutoTokenizer must load. A few fixed texts and pairs go through both, some of them longer
    than the model reads: Transformers cuts them with truncation="longest_first".
  * Logits are compared one by one, labels and their order by name.

Exits with 1 when a tensor is missing, a label differs or a logit differs by more than
`--tolerance`. Not every folder can pass: Transformers knows neither pruned heads nor weights
of one byte.
"""

import argparse
import json
import subprocess
import sys

import torch
import transformers

STILL = "A still separates liquids by their boiling points. "
TEXTS = [
    {"text": "A film that stays with you."},
    {"text": ""},
    {"text": "Tórshavn means “Thor’s harbour” — 雷神の港 in Japanese 🐑."},
    {"text": STILL * 80},
    {"text": "Two dogs run.", "pair": "Animals are moving."},
    {"text": "Two dogs run.", "pair": ""},
    {"text": STILL * 80, "pair": "Animals are moving."},
    {"text": "Two dogs run.", "pair": STILL * 80},
    {"text": STILL * 80, "pair": "It is heated in the boiler. " * 80},
]


def ask_limbeck(arguments):
    command = [arguments.limbeck, "classify", "--model", arguments.model, "--logits"]
    command += ["--max-length", str(arguments.max_length)]
    lines = "".join(json.dumps(entry) + "\n" for entry in TEXTS)
    finished = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {finished.returncode}\n{finished.stdout}")
    return [json.loads(line) for line in finished.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/check_classification.py runs/classifier\n",
    )
    parser.add_argument("model", help="the folder that Limbeck wrote")
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=128, help="of both sides")
    arguments = parser.parse_args()

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(2)
    model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        arguments.model, output_loading_info=True
    )
    problems = {key: sorted(map(str, value)) for key, value in report.items() if value}
    if problems:
        sys.exit(f"{arguments.model}: not loaded whole: {json.dumps(problems)}")
    model.eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    print(f"{arguments.model}: {type(model).__name__}, every tensor found, none left over")

    worst, agree = 0.0, True
    for entry, ours in zip(TEXTS, ask_limbeck(arguments), strict=True):
        cut = {"truncation": "longest_first", "max_length": arguments.max_length}
        # In a batch: called with single texts, Transformers takes an empty pair for none.
        texts = [[entry[key]] for key in ("text", "pair") if key in entry]
        whole = tokenizer(*texts, truncation=False)
        inputs = tokenizer(*texts, return_tensors="pt", **cut)
        with torch.inference_mode():
            logits = model(**inputs).logits[0]
        difference = (torch.tensor(ours["logits"]) - logits).abs().max().item()
        worst = max(worst, difference)
        truncated = len(whole["input_ids"][0]) > inputs["input_ids"].shape[1]
        best = model.config.id2label[int(logits.argmax())]
        agree &= difference <= arguments.tolerance  # False for NaN too
        agree &= ours["truncated"] == truncated and ours["label"] == best
        tokens = inputs["input_ids"].shape[1]
        print(f"  {tokens} tokens{', cut' if truncated else ''}: {ours['label']} ({best}), "
              f"largest difference {difference:.1e}")  # fmt: skip
    print(f"largest difference of a logit: {worst:.2e}")
    if not agree:
        sys.exit("Limbeck and Transformers do not agree")


if __name__ == "__main__":
    main()
