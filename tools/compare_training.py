#!/usr/bin/env python3
"""Measure Limbeck's training against PyTorch + Transformers on the same real features.

The features are those of the first questions of a SQuAD file, as many as fill `--steps`
batches. Every competitor trains on all of them once: windows of 384 tokens that overlap by
128, AdamW, gradient clipping, dropout, the same number of threads. They take turns, each in
a fresh process, for `--rounds` rounds:

    limbeck           `limbeck bench train`
    limbeck lean      the same with `--recompute --max-tokens-per-pass 512` (on request)
    pytorch dynamic   every batch padded to its longest sequence
    pytorch padded    every sequence padded to 384, the default of the usual script
    pytorch grouped   as dynamic, with sequences of like length put together (on request)

Rates count real tokens, never padding. PyTorch makes one step before the clock starts.
A table goes to standard error, one JSON object with every run to standard output.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import measure

MAX_LENGTH, DOC_STRIDE = 384, 128  # Limbeck's defaults
FIELDS = ["seconds_per_step", "features_per_second", "tokens_per_second", "peak_rss_bytes"]
COLUMNS = {
    "tokens_per_second": ("tokens/s", 1, ".1f"),
    "features_per_second": ("features/s", 1, ".2f"),
    "seconds_per_step": ("s/step", 1, ".3f"),
    "peak_rss_bytes": ("peak MB", 1e-6, ".0f"),
}


def prepare(arguments):
    """Child process: chooses the questions and writes them, and their features, to the folder."""
    from transformers import AutoTokenizer

    import squad

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    room = arguments.batch_size * arguments.steps
    questions = squad.read_squad(arguments.data, limit=room)  # each has one window or more
    windows = squad.build_windows(questions, tokenizer, MAX_LENGTH, DOC_STRIDE)
    last = max((w.question for w in windows[room:room + 1]), default=len(questions))  # fmt: skip
    windows = [window for window in windows if window.question < last]
    if not windows:
        sys.exit("the first question alone has more windows: raise --batch-size or --steps")
    squad.write_squad(arguments.folder / "questions.json", questions[:last])
    features = [
        [w.input_ids, w.token_type_ids, w.start_position, w.end_position] for w in windows
    ]
    (arguments.folder / "features.json").write_text(json.dumps(features))
    tokens = sum(len(window.input_ids) for window in windows)
    print(json.dumps({"questions": last, "features": len(windows), "tokens": tokens}))


def train_with_pytorch(arguments):
    """Child process: one pass over the prepared features with PyTorch."""
    import random
    import time

    import torch
    import transformers

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(arguments.model).train()
    takes_segments = model.config.model_type == "bert"
    no_decay = [p for n, p in model.named_parameters() if n.endswith("bias") or "norm" in n.lower()]
    excluded = {id(parameter) for parameter in no_decay}
    decay = [p for p in model.parameters() if id(p) not in excluded]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-5)

    features = json.loads((arguments.folder / "features.json").read_text())
    random.Random(0).shuffle(features)
    if arguments.child == "grouped":
        features.sort(key=lambda feature: len(feature[0]))
    size = arguments.batch_size
    batches = [features[begin : begin + size] for begin in range(0, len(features), size)]
    random.Random(1).shuffle(batches)

    def tensors(batch):
        longest = max(len(ids) for ids, *_ in batch)
        length = MAX_LENGTH if arguments.child == "padded" else longest

        def padded(rows):
            return torch.tensor([row + [0] * (length - len(row)) for row in rows])

        inputs = {
            "input_ids": padded([ids for ids, *_ in batch]),
            "attention_mask": padded([[1] * len(ids) for ids, *_ in batch]),
            "start_positions": torch.tensor([start for *_, start, _ in batch]),
            "end_positions": torch.tensor([end for *_, end in batch]),
        }
        if takes_segments:
            inputs["token_type_ids"] = padded([segments for _, segments, *_ in batch])
        return inputs

    def step(batch):
        loss = model(**tensors(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    step(batches[0])
    step_seconds = []
    for batch in batches:
        begin = time.perf_counter()
        step(batch)
        step_seconds.append(time.perf_counter() - begin)
    seconds = sum(step_seconds)
    tokens = sum(len(ids) for ids, *_ in features)
    result = {
        "seconds_per_step": seconds / len(batches),
        "features_per_second": len(features) / seconds,
        "tokens_per_second": tokens / seconds,
        "step_seconds": step_seconds,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    print(json.dumps(result))


def compare(arguments, folder):
    shared = ["--model", arguments.model, "--data", arguments.data, "--folder", folder]
    for name in ("batch_size", "steps", "threads"):
        shared += [f"--{name.replace('_', '-')}", getattr(arguments, name)]
    prepared = measure.run_self(*shared, "--child", "prepare")
    features = {name: prepared[name] for name in ("questions", "features", "tokens")}
    print(f"{features} in {arguments.steps} steps of {arguments.batch_size}", file=sys.stderr)

    def limbeck(*options):
        return measure.run_child(
            [arguments.limbeck, "bench", "train", "--model", arguments.model,
             "--data", str(folder / "questions.json"), "--batch-size", str(arguments.batch_size),
             "--steps", str(arguments.steps), "--threads", str(arguments.threads), "--json", *options]
        )  # fmt: skip

    competitors = {"limbeck": limbeck}
    if arguments.lean:
        lean = ["--recompute", "--max-tokens-per-pass", "512"]
        competitors["limbeck lean"] = lambda: limbeck(*lean)
    for variant in arguments.variants:
        competitors[f"pytorch {variant}"] = lambda variant=variant: measure.run_self(
            *shared, "--child", variant
        )
    results = measure.run_rounds(competitors, arguments.rounds)
    summary = measure.summarize(results, FIELDS)
    measure.print_table(summary, COLUMNS, "tokens_per_second")
    document = {
        "machine": measure.machine(arguments.threads),
        "data": features | {"batch_size": arguments.batch_size, "steps": arguments.steps},
        "summary": summary,
        "tokens_per_second_ratio": measure.ratios(summary, "tokens_per_second"),
        "runs": results,
    }
    print(json.dumps(document, indent=2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  python tools/compare_training.py --model models/minilm --data train-v1.1.json \\\n"
        "      --batch-size 16 --steps 6 --rounds 3 > training.json\n",
    )
    variants = ["dynamic", "padded", "grouped"]
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--data", required=True, help="a SQuAD file")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--variants", nargs="+", choices=variants, default=variants[:2],
                        help="what PyTorch does (default: dynamic padded)")  # fmt: skip
    parser.add_argument("--lean", action="store_true", help="measure Limbeck in less memory too")
    # The script starts itself with these.
    parser.add_argument("--child", choices=["prepare", *variants], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.child == "prepare":
        prepare(arguments)
    elif arguments.child:
        train_with_pytorch(arguments)
    else:
        measure.require(arguments.limbeck)
        with tempfile.TemporaryDirectory(prefix="compare-training-") as folder:
            compare(arguments, Path(folder))


if __name__ == "__main__":
    main()
