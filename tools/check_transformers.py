#!/usr/bin/env python3
"""Check that Transformers loads a folder written by Limbeck and computes the same logits.

  * AutoModelForQuestionAnswering must find every tensor it wants and no other.
  * AutoTokenizer must load, and give the same tokens: the logits are compared one by one.
  * A few fixed questions are answered by both. The second context fills several windows; the
    logits are those of the first one. The answers of Transformers come from all windows.

Limbeck's side is `limbeck answer --json --logits`, fed with JSON lines, or with `--logits FILE`
the saved output of it (for a machine without the binary):

    python tools/check_transformers.py --print-questions > questions.jsonl
    limbeck answer --model DIR --task squad --json --logits < questions.jsonl > logits.jsonl
    python tools/check_transformers.py DIR --logits logits.jsonl

Exits with 1 when a tensor is missing, when token counts differ or when a logit differs by
more than `--tolerance`. Not every folder can pass: Transformers knows neither pruned heads
nor token types in DistilBERT.
"""

import argparse
import json
import subprocess
import sys

import numpy as np
import torch
import transformers

import squad

STILL = (
    "A still separates liquids by their boiling points. The mixture is heated in the boiler, "
    "the vapour rises through the head, and a coil in cold water turns it back into a liquid. "
    "The first part that comes over is called the head and is thrown away."
)
ISLANDS = (
    "The Färöer, an archipelago of eighteen islands, lie between Scotland and Iceland. "
    "Tórshavn is the seat of the government. Its name means “Thor’s harbour” — 雷神の港 "
    "in Japanese — and the town has about 14,000 inhabitants 🐑, far fewer than the islands have sheep."
)
QUESTIONS = [
    {"question": "What turns the vapour back into a liquid?", "context": STILL},
    {"question": "What happens to the first part?", "context": " ".join([STILL] * 12)},
    {"question": "  What does Tórshavn mean?", "context": ISLANDS},
    {"question": "How many people live there?", "context": ISLANDS},
    {"question": "Why?", "context": "Because."},
]


def load_model(path):
    """The model in evaluation mode; ends the program where tensors do not match."""
    model, report = transformers.AutoModelForQuestionAnswering.from_pretrained(
        path, output_loading_info=True
    )
    problems = {key: sorted(map(str, value)) for key, value in report.items() if value}
    if problems:
        sys.exit(f"{path}: Transformers does not load this folder whole: {json.dumps(problems)}")
    return model.eval()


def ask_limbeck(arguments):
    """One parsed result of `limbeck answer --json --logits` for each question."""
    if arguments.logits:
        with open(arguments.logits, encoding="utf-8") as file:
            output = file.read()
    else:
        command = [
            arguments.limbeck, "answer", "--model", arguments.model, "--json", "--logits",
            "--task", "squad", "--max-length", str(arguments.max_length),
            "--doc-stride", str(arguments.doc_stride), "--doc-stride-meaning", "overlap",
        ]  # fmt: skip
        try:
            finished = subprocess.run(
                command, input=question_lines(), stdout=subprocess.PIPE, text=True
            )
        except OSError as error:
            sys.exit(f"cannot run {arguments.limbeck}: {error.strerror}")
        if finished.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit code {finished.returncode}\n{finished.stdout}")
        output = finished.stdout
    results = [json.loads(line) for line in output.splitlines() if line.strip()]
    if len(results) != len(QUESTIONS):
        sys.exit(f"limbeck gave {len(results)} results for {len(QUESTIONS)} questions")
    return results


def question_lines():
    return "".join(json.dumps(entry) + "\n" for entry in QUESTIONS)


def ask_transformers(model, tokenizer, entry, arguments):
    """The answer, and the (start, end) logits of the first window."""
    question = squad.Question("", entry["question"], entry["context"], [])
    windows = squad.build_windows(
        [question], tokenizer, arguments.max_length, arguments.doc_stride
    )
    logits = []
    for window in windows:
        inputs = {"input_ids": torch.tensor([window.input_ids])}
        if model.config.model_type == "bert":
            inputs["token_type_ids"] = torch.tensor([window.token_type_ids])
        with torch.inference_mode():
            output = model(**inputs)
        logits.append((output.start_logits[0].numpy(), output.end_logits[0].numpy()))
    return squad.decode(windows, logits, question.context), logits[0]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/check_transformers.py runs/student\n",
    )
    parser.add_argument("model", nargs="?", help="the folder that Limbeck wrote")
    parser.add_argument("--logits", metavar="FILE", help="saved results instead of the binary")
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=384, help="of both sides")
    parser.add_argument("--doc-stride", type=int, default=128, help="of both sides")
    parser.add_argument("--print-questions", action="store_true", help="print them and stop")
    arguments = parser.parse_args()
    if arguments.print_questions:
        print(question_lines(), end="")
        return
    if not arguments.model:
        parser.error("which folder?")

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(2)
    model = load_model(arguments.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    print(f"{arguments.model}: {type(model).__name__}, every tensor found, none left over")

    worst, agree = 0.0, True
    for entry, ours in zip(QUESTIONS, ask_limbeck(arguments)):
        theirs, logits = ask_transformers(model, tokenizer, entry, arguments)
        print(f"  {entry['question'].strip()}")
        for key, expected in zip(("start_logits", "end_logits"), logits):
            found = np.array(ours[key], dtype=np.float64)
            if found.shape != expected.shape:
                print(f"    {key}: {len(found)} tokens, Transformers has {len(expected)}")
                agree = False
                continue
            difference = np.abs(found - expected).max()
            print(f"    {key}: {len(found)} tokens, largest difference {difference:.1e}")
            worst = max(worst, difference)
            agree &= bool(difference <= arguments.tolerance)  # False for NaN too
        same = "the same" if ours["answer"] == theirs else f"Transformers: {theirs!r}"
        print(f"    answer: {ours['answer']!r} ({same})")
    print(f"largest difference of a logit: {worst:.2e}")
    if not agree:
        sys.exit("Limbeck and Transformers do not agree")


if __name__ == "__main__":
    main()
