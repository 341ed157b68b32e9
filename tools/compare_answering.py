#!/usr/bin/env python3
"""Measure how fast Limbeck answers questions against other programs, from text to text.

Every competitor answers the first questions of a SQuAD file, one at a time or `--batch-size`
together: tokenise the question and its paragraph, run the model on each window, decode the text
of the best span. Together, the peers' windows are sorted by length and run 16 at a time, padded.
The windows (384 tokens, overlap 128) and the decoding (20 best starts and ends, answers of
at most 30 tokens) are the same for all. They take turns, each in a fresh process, for
`--rounds` rounds, with the same number of threads:

    limbeck        `limbeck bench answer`
    limbeck-int8   the same, after `limbeck quantize`
    ort-int8       ONNX Runtime, weights quantised to int8 and activations dynamically
    ort-float32    ONNX Runtime; attention, GELU and LayerNorm fused, as for int8
    openvino       OpenVINO, float32, latency hint
    pytorch        Transformers in float32

The peers read the text with Transformers' fast tokenizer and answer a few questions before
the clock starts. They also score their answers, so that a peer that computes something else
does not go unnoticed; int8 differs a little by nature. `model p50` is the part of a window's
time spent in the model alone; it shows what Python's tokenising and decoding add.
A table goes to standard error, one JSON object with every run to standard output.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import measure

MAX_LENGTH, DOC_STRIDE = 384, 128
WARM_UP_QUESTIONS = 5
# Windows that the peers run together where questions come in batches.
PADDED_WINDOWS = 16
FIELDS = [
    "questions_per_second", "p50_ms", "p95_ms", "model_p50_ms", "peak_rss_bytes", "exact", "f1",
]  # fmt: skip
COLUMNS = {
    "questions_per_second": ("questions/s", 1, ".2f"),
    "p50_ms": ("p50 ms", 1, ".1f"),
    "p95_ms": ("p95 ms", 1, ".1f"),
    "model_p50_ms": ("model p50 ms", 1, ".1f"),
    "peak_rss_bytes": ("peak MB", 1e-6, ".0f"),
    "exact": ("exact", 1, ".2f"),
    "f1": ("f1", 1, ".2f"),
}
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def load_model(path):
    import torch
    import transformers

    torch.manual_seed(0)  # a folder without a span head gets the same random one everywhere
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers.AutoModelForQuestionAnswering.from_pretrained(path).eval()


def input_names(model):
    return INPUTS if model.config.model_type == "bert" else INPUTS[:2]


def export(arguments):
    """Child process: writes plain.onnx, float32.onnx (fused) and int8.onnx to the folder."""
    import torch
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    warnings.simplefilter("ignore")  # of the tracing exporter
    logging.disable(logging.WARNING)  # of the quantiser
    model = load_model(arguments.model)
    model.set_attn_implementation("eager")  # the form that the fusion recognises
    names = input_names(model)
    example = {name: torch.ones(1, 32, dtype=torch.long) for name in names}
    outputs = ["start_logits", "end_logits"]
    torch.onnx.export(
        model,
        tuple(example.values()),
        arguments.folder / "plain.onnx",
        input_names=names,
        output_names=outputs,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in [*names, *outputs]},
        opset_version=17,
        dynamo=False,
    )
    fused = optimizer.optimize_model(
        str(arguments.folder / "plain.onnx"),
        model_type="bert",
        num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size,
        opt_level=0,
    )
    fused.save_model_to_file(str(arguments.folder / "float32.onnx"))
    quantize_dynamic(
        arguments.folder / "float32.onnx",
        arguments.folder / "int8.onnx",
        weight_type=QuantType.QInt8,
        # The fused operators have no shape inference to tell the type.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    return {"fused": fused.get_fused_operator_statistics()}


def open_engine(arguments):
    """The chosen engine as a function from windows to their padded start and end logits."""
    import numpy as np

    def arrays(windows, names):
        length = max(len(window.input_ids) for window in windows)
        values = {name: np.zeros((len(windows), length), dtype=np.int64) for name in INPUTS}
        for row, window in enumerate(windows):
            tokens = len(window.input_ids)
            values["input_ids"][row, :tokens] = window.input_ids
            values["attention_mask"][row, :tokens] = 1
            values["token_type_ids"][row, :tokens] = window.token_type_ids
        return {name: values[name] for name in names}

    if arguments.child == "pytorch":
        import torch

        torch.set_num_threads(arguments.threads)
        model = load_model(arguments.model)
        names = input_names(model)

        def run(windows):
            inputs = {k: torch.from_numpy(v) for k, v in arrays(windows, names).items()}
            with torch.inference_mode():
                output = model(**inputs)
            return output.start_logits.numpy(), output.end_logits.numpy()

    elif arguments.child == "openvino":
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": arguments.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = core.compile_model(arguments.folder / "plain.onnx", "CPU", settings)
        names = [port.any_name for port in compiled.inputs]
        request = compiled.create_infer_request()

        def run(windows):
            request.infer(arrays(windows, names))
            return tuple(request.get_output_tensor(i).data.copy() for i in (0, 1))

    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        file = arguments.folder / f"{arguments.child.removeprefix('ort-')}.onnx"
        session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]

        def run(windows):
            return session.run(None, arrays(windows, names))

    return run


def answer_questions(arguments):
    """Child process: answers the questions with one engine."""
    import time

    import numpy as np

    if arguments.child != "pytorch":
        # Transformers' tokenizers do without torch; its 500 MB are not these engines' own.
        sys.modules["torch"] = None
    from transformers import AutoTokenizer

    import squad

    questions = squad.read_squad(arguments.data, arguments.limit)
    allow_null = any(not question.answers for question in questions)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    engine = open_engine(arguments)
    model_milliseconds = []

    def run(windows):
        begin = time.perf_counter()
        start_logits, end_logits = engine(windows)
        model_milliseconds.append(1000 * (time.perf_counter() - begin))
        for window, start, end in zip(windows, start_logits, end_logits):
            yield start[: len(window.input_ids)], end[: len(window.input_ids)]

    def answer(questions):
        windows = squad.build_windows(questions, tokenizer, MAX_LENGTH, DOC_STRIDE)
        order = sorted(range(len(windows)), key=lambda index: len(windows[index].input_ids))
        together = 1 if len(questions) == 1 else PADDED_WINDOWS
        logits = {}
        for first in range(0, len(order), together):
            indices = order[first : first + together]
            logits.update(zip(indices, run([windows[index] for index in indices])))
        for number, question in enumerate(questions):
            own = [index for index, window in enumerate(windows) if window.question == number]
            yield squad.decode(
                [windows[index] for index in own],
                [logits[index] for index in own],
                question.context,
                allow_null=allow_null,
            )

    size = arguments.batch_size
    list(answer(questions[: max(size, WARM_UP_QUESTIONS)]))
    for question in questions[:WARM_UP_QUESTIONS]:
        list(answer([question]))
    model_milliseconds.clear()
    milliseconds, answers, total = [], [], 0
    for first in range(0, len(questions), size):
        together = questions[first : first + size]
        begin = time.perf_counter()
        answers.extend(answer(together))
        time_taken = 1000 * (time.perf_counter() - begin)
        total += time_taken
        # Whoever asked one of them has waited for all.
        milliseconds.extend([time_taken] * len(together))
    return {
        "p50_ms": float(np.percentile(milliseconds, 50)),
        "p95_ms": float(np.percentile(milliseconds, 95)),
        "model_p50_ms": float(np.percentile(model_milliseconds, 50)),
        "questions_per_second": 1000 * len(questions) / total,
        **squad.score(questions, answers),
    }


def compare(arguments, folder):
    shared = ["--model", arguments.model, "--data", arguments.data, "--folder", folder]
    shared += ["--limit", arguments.limit, "--threads", arguments.threads]
    shared += ["--batch-size", arguments.batch_size]
    exported = measure.run_self(*shared, "--child", "export")

    quantised = folder / "limbeck-int8"
    measure.run_child(
        [arguments.limbeck, "quantize", "--model", arguments.model, "--out", quantised, "--json"]
    )

    def limbeck(model):
        return measure.run_child(
            [arguments.limbeck, "bench", "answer", "--model", model,
             "--data", arguments.data, "--limit", str(arguments.limit),
             "--threads", str(arguments.threads),
             "--batch-size", str(arguments.batch_size), "--json"]
        )  # fmt: skip

    competitors = {
        "limbeck": lambda: limbeck(arguments.model),
        "limbeck-int8": lambda: limbeck(quantised),
    }
    for engine in arguments.engines:
        competitors[engine] = lambda engine=engine: measure.run_self(*shared, "--child", engine)
    results = measure.run_rounds(competitors, arguments.rounds)
    summary = measure.summarize(results, FIELDS)
    measure.print_table(summary, COLUMNS, "questions_per_second")
    document = {
        "machine": measure.machine(arguments.threads),
        "questions": arguments.limit,
        "batch_size": arguments.batch_size,
        "fused_operators": exported["fused"],
        "summary": summary,
        "questions_per_second_ratio": measure.ratios(summary, "questions_per_second"),
        "runs": results,
    }
    print(json.dumps(document, indent=2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  python tools/compare_answering.py --model runs/student --data dev-v1.1.json \\\n"
        "      --limit 100 --rounds 3 > answering.json\n",
    )
    engines = ["ort-int8", "ort-float32", "openvino", "pytorch"]
    parser.add_argument("--model", required=True, help="a fine-tuned Hugging Face folder")
    parser.add_argument("--data", required=True, help="a SQuAD file")
    parser.add_argument("--limit", type=int, default=100, help="questions (default: 100)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=1, help="questions put together")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines,
                        help="the peers (default: all)")  # fmt: skip
    # The script starts itself with these.
    parser.add_argument("--child", choices=["export", *engines], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.child:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        os.environ["TRANSFORMERS_VERBOSITY"] = "error"
        # The exporters print to standard output, which belongs to the result.
        with contextlib.redirect_stdout(sys.stderr):
            work = export if arguments.child == "export" else answer_questions
            result = work(arguments)
        print(json.dumps(result))
    else:
        measure.require(arguments.limbeck)
        with tempfile.TemporaryDirectory(prefix="compare-answering-") as folder:
            compare(arguments, Path(folder))


if __name__ == "__main__":
    main()
