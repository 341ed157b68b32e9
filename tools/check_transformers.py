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
import sys

import numpy as np
import torch
import transformers

import squad
from questions import QUESTIONS, ask_limbeck, parse, question_lines


def load_model(path):
    """The model in evaluation mode; ends the program where tensors do not match."""
    model, report = transformers.AutoModelForQuestionAnswering.from_pretrained(
        path, output_loading_info=True
    )
    problems = {key: sorted(map(str, value)) for key, value in report.items() if value}
    if problems:
        sys.exit(f"{path}: Transformers does not load this folder whole: {json.dumps(problems)}")
    return model.eval()


def limbeck_results(arguments):
    """One parsed result of `limbeck answer --json --logits` for each question."""
    if arguments.logits:
        with open(arguments.logits, encoding="utf-8") as file:
            return parse(file.read())
    limits = arguments.max_length, arguments.doc_stride
    return ask_limbeck(arguments.limbeck, arguments.model, *limits)


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
    for entry, ours in zip(QUESTIONS, limbeck_results(arguments)):
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
