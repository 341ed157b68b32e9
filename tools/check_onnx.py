#!/usr/bin/env python3
"""Check that ONNX Runtime computes from an exported model what Limbeck computes.

  * ONNX's own checker must find nothing wrong, its inference of types and shapes included.
  * A few fixed questions become windows of different lengths, first of each question. ONNX
    Runtime gets them one by one, and all in one padded batch whose padding is no padding
    token but the mask alone says so. Both must give Limbeck's logits at every real token.
  * OpenVINO must do the same, where it is installed.

    limbeck export --model DIR --format onnx --out OUT
    python tools/check_onnx.py DIR OUT/model.onnx

Limbeck's side is `limbeck answer --json --logits` on DIR, which must not be quantised: the
export is of floats. Exits with 1 when token counts differ or when a logit differs by more
than `--tolerance`. Needs `pip install onnx onnxruntime transformers`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import transformers

import squad
from questions import QUESTIONS, ask_limbeck

OUTPUTS = ["start_logits", "end_logits"]


def first_windows(folder, arguments):
    """The first window of each question, made by the exported tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    windows = []
    for entry in QUESTIONS:
        question = squad.Question("", entry["question"], entry["context"], [])
        limits = arguments.max_length, arguments.doc_stride
        windows.append(squad.build_windows([question], tokenizer, *limits)[0])
    return windows


def batch_of(windows, filler):
    """The windows as one batch, filled up with a token that the mask must hide."""
    length = max(len(window.input_ids) for window in windows)
    shape = len(windows), length
    batch = {
        "input_ids": np.full(shape, filler, dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
    for row, window in enumerate(windows):
        end = len(window.input_ids)
        batch["input_ids"][row, :end] = window.input_ids
        batch["attention_mask"][row, :end] = 1
        batch["token_type_ids"][row, :end] = window.token_type_ids
    return batch


def onnx_runtime(path):
    """A batch to its logits, by ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda batch: session.run(OUTPUTS, {name: batch[name] for name in names})


def openvino_runtime(path):
    """The same by OpenVINO; None where it is not installed."""
    try:
        import openvino
    except ImportError:
        return None
    # Processors that can would compute in bfloat16.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", exact)
    names = [value.get_any_name() for value in compiled.inputs]

    def run(batch):
        results = compiled({name: batch[name] for name in names})
        return [results[name] for name in OUTPUTS]

    return run


def difference(run, windows, expected, filler):
    """The largest difference of a logit over the windows, run as one batch."""
    worst = 0.0
    for logits, output in zip(run(batch_of(windows, filler)), OUTPUTS):
        if not np.isfinite(logits).all():
            return np.inf
        for row, (window, limbeck) in enumerate(zip(windows, expected)):
            found = logits[row, : len(window.input_ids)]
            worst = max(worst, np.abs(found - np.array(limbeck[output])).max())
    return worst


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="the folder that was exported")
    parser.add_argument("onnx", help="the exported file")
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--max-length", type=int, default=384, help="of both sides")
    parser.add_argument("--doc-stride", type=int, default=128, help="of both sides")
    arguments = parser.parse_args()

    onnx.checker.check_model(arguments.onnx, full_check=True)
    print(f"{arguments.onnx}: ONNX's checker finds nothing wrong")
    limits = arguments.max_length, arguments.doc_stride
    expected = ask_limbeck(arguments.limbeck, arguments.model, *limits)
    windows = first_windows(Path(arguments.onnx).parent, arguments)
    for window, limbeck in zip(windows, expected):
        if len(window.input_ids) != len(limbeck["start_logits"]):
            sys.exit(f"{len(window.input_ids)} tokens, Limbeck has {len(limbeck['start_logits'])}")
    lengths = [len(window.input_ids) for window in windows]
    print(f"  windows of {', '.join(map(str, lengths))} tokens")
    filler = windows[0].input_ids[1]  # a word: nothing but the mask tells it from the others

    agree = True
    engines = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino_runtime}
    for name, engine in engines.items():
        run = engine(arguments.onnx)
        if run is None:
            print(f"  {name} is not installed: skipped")
            continue
        alone = max(
            difference(run, [window], [limbeck], filler)
            for window, limbeck in zip(windows, expected)
        )
        padded = difference(run, windows, expected, filler)
        print(f"  {name}: largest difference of a logit {alone:.1e} alone, {padded:.1e} padded")
        agree &= bool(max(alone, padded) <= arguments.tolerance)  # False for NaN too
    if not agree:
        sys.exit("Limbeck and the exported model do not agree")


if __name__ == "__main__":
    main()
