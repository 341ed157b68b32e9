#!/usr/bin/env python3
"""Measure the way from a SQuAD file to training features: Limbeck against `datasets.map`.

    limbeck         `limbeck bench features`
    map             `datasets.map` in batches with the fast tokenizer, which uses all cores
    map, processes  the same in as many processes as there are threads

They take turns, each in a fresh process, for `--rounds` rounds, and make the same windows (384
tokens, overlap 128) with labels. Reading the file is not counted, nor is the time to
start processes that `datasets` keeps no figures of. A table goes to standard error, one JSON
object with every run to standard output.
"""

import argparse
import json
import time

import measure

FIELDS = ["features_per_second", "build_seconds", "second_start_seconds", "peak_rss_bytes"]
COLUMNS = {
    "features_per_second": ("features/s", 1, ".0f"),
    "build_seconds": ("seconds", 1, ".2f"),
    "second_start_seconds": ("second start", 1, ".3f"),
    "peak_rss_bytes": ("peak MB", 1e-6, ".0f"),
}


def map_dataset(arguments):
    """Child process: features by `datasets.map`."""
    import datasets
    from transformers import AutoTokenizer

    import squad

    datasets.disable_progress_bars()
    datasets.disable_caching()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    questions = squad.read_squad(arguments.data)
    table = datasets.Dataset.from_list([vars(question) for question in questions])

    def features(batch):
        part = [
            squad.Question(*values)
            for values in zip(batch["id"], batch["text"], batch["context"], batch["answers"])
        ]
        windows = squad.build_windows(part, tokenizer, chunk=len(part))
        return {
            "input_ids": [window.input_ids for window in windows],
            "token_type_ids": [window.token_type_ids for window in windows],
            "start_positions": [window.start_position for window in windows],
            "end_positions": [window.end_position for window in windows],
        }

    processes = arguments.threads if arguments.child == "processes" else None
    begin = time.perf_counter()
    mapped = table.map(
        features, batched=True, remove_columns=table.column_names, num_proc=processes
    )
    seconds = time.perf_counter() - begin
    result = {
        "features": len(mapped),
        "build_seconds": seconds,
        "features_per_second": len(mapped) / seconds,
    }
    print(json.dumps(result))


def compare(arguments):
    shared = ["--model", arguments.model, "--data", arguments.data, "--threads", arguments.threads]
    limbeck = [arguments.limbeck, "bench", "features", *map(str, shared), "--json"]
    competitors = {
        "limbeck": lambda: measure.run_child(limbeck),
        "map": lambda: measure.run_self(*shared, "--child", "map"),
        "map, processes": lambda: measure.run_self(*shared, "--child", "processes"),
    }
    results = measure.run_rounds(competitors, arguments.rounds)
    summary = measure.summarize(results, FIELDS)
    measure.print_table(summary, COLUMNS, "features_per_second")
    document = {
        "machine": measure.machine(arguments.threads),
        "summary": summary,
        "features_per_second_ratio": measure.ratios(summary, "features_per_second"),
        "runs": results,
    }
    print(json.dumps(document, indent=2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n"
        "  python tools/compare_features.py --model models/minilm --data train-v1.1.json\n",
    )
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--data", required=True, help="a SQuAD file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limbeck", default="target/release/limbeck", help="the binary")
    # The script starts itself with this.
    parser.add_argument("--child", choices=["map", "processes"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        map_dataset(arguments)
    else:
        measure.require(arguments.limbeck)
        compare(arguments)


if __name__ == "__main__":
    main()
