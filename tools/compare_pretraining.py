#!/usr/bin/env python3
"""Measure Limbeck's masked-word pretraining against PyTorch + Transformers on a model of the same sizes.

Both take windows of 128 tokens, 32 a step, 15 % of them masked, AdamW with clipping, dropout on, the same
number of threads, and turn about for `--rounds` rounds, each in a fresh process. Limbeck reads `--text`;
PyTorch gets windows of random tokens, since its speed does not depend on them, and `BertForMaskedLM` as it
is: logits of every row. Rates are tokens a second of whole steps; PyTorch makes two before the clock starts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LENGTH, BATCH = 128, 32


def pytorch(arguments):
    """Child process: prints its tokens a second."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=arguments.vocab_size,
        hidden_size=arguments.hidden_size,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.heads,
        intermediate_size=4 * arguments.hidden_size,
    )
    model = BertForMaskedLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    for step in range(arguments.steps + 2):
        if step == 2:
            begun = time.perf_counter()
        ids = torch.randint(5, arguments.vocab_size, (BATCH, LENGTH))
        labels = torch.where(torch.rand(BATCH, LENGTH) < 0.15, ids, -100)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    print(arguments.steps * BATCH * LENGTH / (time.perf_counter() - begun))


def limbeck(arguments, folder):
    """Tokens a second of the run's steps, the first ones left out."""
    out = folder / "run"
    sizes = ["layers", "hidden_size", "heads"]
    command = [arguments.limbeck, "pretrain", "--text", arguments.text, "--out", out, "--overwrite"]
    command += ["--cache", folder / "cache", "--vocab-size", arguments.vocab_size, "--max-length", LENGTH]
    command += ["--steps", 2 * arguments.steps, "--batch-size", BATCH, "--validation-share", 0]
    command += ["--set", f"train.logging_steps={arguments.steps}", "--quiet"]
    command += ["--threads", arguments.threads]
    for size in sizes:
        command += ["--" + size.replace("_", "-"), getattr(arguments, size)]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    lines = (out / "train.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["tokens_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--text", help="plain text for Limbeck")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--vocab-size", type=int, default=8000, help="30522 is BERT's own")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return pytorch(arguments)
    rates = {"limbeck": [], "pytorch": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            rates["limbeck"].append(limbeck(arguments, Path(folder)))
            child = [sys.executable, __file__, *sys.argv[1:], "--child"]
            rates["pytorch"].append(float(subprocess.check_output(child, text=True)))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    medians["ratio"] = medians["limbeck"] / medians["pytorch"]
    print(json.dumps({"rates": rates, "medians": medians}))
    return None


if __name__ == "__main__":
    main()
