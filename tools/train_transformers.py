#!/usr/bin/env python3
"""Fine-tune with PyTorch + Transformers, to compare Limbeck's scores under the same recipe.

A plain loop: windows of 384 tokens that overlap by 128, in Limbeck's own order of the same
seed; every batch padded to its longest sequence; cross-entropy on start and end; dropout as
the model's configuration says; AdamW without decay of biases and LayerNorms; clipping to a
global norm of 1; the learning rate rises over the warm-up and falls in a straight line to 0.

So the two programs take the same steps if they begin with the same weights, the head's
included, and `--no-dropout` takes away the one thing that stays random. Such weights are what
`limbeck finetune --max-steps 1 --learning-rate 0` leaves.

Takes the first `--max-train-questions` questions in file order, as Limbeck does. Prints
progress to standard error and one line of JSON to standard output.
"""

import argparse
import json
import math
import resource
import sys
import time

import torch
import transformers

import order
import squad


def arguments_of_command_line():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  python tools/train_transformers.py --model models/minilm --train train-v1.1.json \\\n"
        "      --dev dev-v1.1.json --max-train-questions 4000 --max-dev-questions 1000 \\\n"
        "      --epochs 1 --learning-rate 5e-5 --out runs/transformers\n",
    )
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--train", required=True, help="a SQuAD file")
    parser.add_argument("--dev", help="a SQuAD file to evaluate on")
    parser.add_argument("--out", help="folder for the trained model and its tokenizer")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument(
        "--warmup", type=float, default=0.0, help="share of all steps below 1, else a count"
    )
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--max-grad-norm", type=float, default=1.0)
    parser.add_argument("--max-length", type=int, default=384)
    parser.add_argument("--doc-stride", type=int, default=128, help="overlap of windows")
    parser.add_argument("--max-train-questions", type=int, default=0, help="0: all")
    parser.add_argument("--max-dev-questions", type=int, default=0, help="0: all")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--real-tokens-only",
        action="store_true",
        help="leave padding out of the softmax over positions, which Transformers does not",
    )
    parser.add_argument("--no-dropout", action="store_true", help="drop nothing")
    parser.add_argument("--losses", help="file for the loss of every step, one JSON line each")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def tensors(windows, takes_segments):
    """A padded batch, with labels."""
    length = max(len(window.input_ids) for window in windows)

    def padded(rows):
        return torch.tensor([row + [0] * (length - len(row)) for row in rows])

    batch = {
        "input_ids": padded([window.input_ids for window in windows]),
        "attention_mask": padded([[1] * len(window.input_ids) for window in windows]),
        "start_positions": torch.tensor([window.start_position for window in windows]),
        "end_positions": torch.tensor([window.end_position for window in windows]),
    }
    if takes_segments:
        batch["token_type_ids"] = padded([window.token_type_ids for window in windows])
    return batch


def build_optimizer(model, arguments):
    """AdamW in two groups. All LayerNorms have "norm" in their names, in either case."""
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        no_decay = name.endswith("bias") or "norm" in name.lower()
        (plain if no_decay else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": arguments.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=arguments.learning_rate)


def loss_of(model, batch, real_tokens_only):
    """The model's own loss, or the same without padding among the positions."""
    if not real_tokens_only:
        return model(**batch).loss
    starts, ends = batch.pop("start_positions"), batch.pop("end_positions")
    output = model(**batch)
    padding = batch["attention_mask"] == 0
    sides = [(output.start_logits, starts), (output.end_logits, ends)]
    cross_entropy = torch.nn.functional.cross_entropy
    return sum(cross_entropy(logits.masked_fill(padding, -1e9), at) for logits, at in sides) / 2


def train(model, windows, takes_segments, arguments):
    """Returns the mean loss of each epoch and the number of steps."""
    size = arguments.batch_size
    steps = arguments.epochs * -(-len(windows) // size)
    warmup = arguments.warmup
    warmup_steps = int(warmup) if warmup >= 1 else math.ceil(warmup * steps)
    optimizer = build_optimizer(model, arguments)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup_steps, steps)
    model.train()
    if arguments.no_dropout:
        model.eval()  # it changes nothing else in these models
    lengths = [len(window.input_ids) for window in windows]
    step, epoch_losses, begin = 0, [], time.perf_counter()
    for epoch in range(arguments.epochs):
        losses = []
        for indices in order.batches(lengths, size, arguments.seed, epoch):
            batch = [windows[index] for index in indices]
            loss = loss_of(model, tensors(batch, takes_segments), arguments.real_tokens_only)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            step += 1
            if step % 10 == 0 or step == steps:
                seconds = time.perf_counter() - begin
                recent = sum(losses[-10:]) / len(losses[-10:])
                print(f"step {step} of {steps}, loss {recent:.4f}, {seconds:.0f} s",
                      file=sys.stderr)  # fmt: skip
        epoch_losses.append(losses)
    if arguments.losses:
        with open(arguments.losses, "w", encoding="utf-8") as file:
            for number, loss in enumerate((loss for losses in epoch_losses for loss in losses), 1):
                file.write(json.dumps({"step": number, "loss": loss}) + "\n")
    return [sum(losses) / len(losses) for losses in epoch_losses], steps


def evaluate(model, tokenizer, takes_segments, arguments):
    """`exact` and `f1` on the development file; windows of like length share a batch."""
    questions = squad.read_squad(arguments.dev, arguments.max_dev_questions)
    windows = squad.build_windows(questions, tokenizer, arguments.max_length, arguments.doc_stride)
    allow_null = any(not question.answers for question in questions)
    model.eval()
    logits = [None] * len(windows)
    order = sorted(range(len(windows)), key=lambda index: len(windows[index].input_ids))
    with torch.inference_mode():
        for first in range(0, len(order), 16):
            indices = order[first : first + 16]
            output = model(**tensors([windows[index] for index in indices], takes_segments))
            for row, index in enumerate(indices):
                length = len(windows[index].input_ids)
                logits[index] = (
                    output.start_logits[row, :length].numpy(),
                    output.end_logits[row, :length].numpy(),
                )
    of_question = [([], []) for _ in questions]
    for window, pair in zip(windows, logits):
        of_question[window.question][0].append(window)
        of_question[window.question][1].append(pair)
    predictions = [
        squad.decode(own_windows, own_logits, question.context, allow_null=allow_null)
        for question, (own_windows, own_logits) in zip(questions, of_question)
    ]
    return squad.score(questions, predictions)


def main():
    arguments = arguments_of_command_line()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(arguments.model)
    takes_segments = model.config.model_type == "bert"  # DistilBERT has no segments

    questions = squad.read_squad(arguments.train, arguments.max_train_questions)
    windows = squad.build_windows(questions, tokenizer, arguments.max_length, arguments.doc_stride)
    tokens = sum(len(window.input_ids) for window in windows)
    begin = time.perf_counter()
    losses, steps = train(model, windows, takes_segments, arguments)
    seconds = time.perf_counter() - begin
    result = {
        "train_questions": len(questions),
        "train_features": len(windows),
        "train_tokens": tokens,
        "steps": steps,
        "epoch_losses": losses,
        "train_seconds": seconds,
        "tokens_per_second": arguments.epochs * tokens / seconds,
    }
    if arguments.out:
        model.save_pretrained(arguments.out)
        tokenizer.save_pretrained(arguments.out)
    if arguments.dev:
        result |= evaluate(model, tokenizer, takes_segments, arguments)
    result["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result["arguments"] = vars(arguments)
    result["versions"] = {"torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
