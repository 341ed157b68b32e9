"""Running competitors in turn, each in a fresh process, and reporting them side by side.

Shared by the scripts that compare; not a program. Imports only the
standard library: the kernel counts the memory of the parent at the moment of the fork
towards the child's peak, so the parent must stay small.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys


def run_child(command):
    """Runs a command that prints one JSON object, and adds its peak memory and the load.

    `peak_rss_bytes` is the kernel's own figure for the finished process, so that every
    competitor is measured by the same instrument. `load_before` is the one-minute load
    average: above 0 or so, something else was using the machine.
    """
    load = os.getloadavg()[0]
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with exit code {child.returncode}")
    try:
        result = json.loads(output)
    except ValueError:
        sys.exit(f"{' '.join(map(str, command))}\ndid not print one JSON object:\n{output[:500]}")
    result["peak_rss_bytes"] = usage.ru_maxrss * 1024
    result["load_before"] = load
    return result


def require(binary):
    """Ends the program at once, not after minutes of preparation, if a binary is missing."""
    if shutil.which(binary) is None:
        sys.exit(f"{binary}: no such program; build it with `cargo build --release`, or name it")


def run_self(*arguments):
    """Runs the calling script again as a child process with other arguments."""
    return run_child([sys.executable, sys.argv[0], *map(str, arguments)])


def run_rounds(competitors, rounds):
    """Runs every competitor once a round, in turn, so that a slow minute hits all alike.

    `competitors` maps a name to a function that runs it. Every other round goes through
    them backwards, so that none always follows the same neighbour.
    """
    results = {name: [] for name in competitors}
    for number in range(rounds):
        order = list(competitors) if number % 2 == 0 else list(reversed(competitors))
        for name in order:
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            results[name].append(competitors[name]())
    return results


def summarize(results, fields):
    """The median, lowest and highest of each field over the rounds, for every competitor."""
    summary = {}
    for name, runs in results.items():
        summary[name] = {}
        for field in fields:
            values = [run[field] for run in runs if field in run]
            if values:
                summary[name][field] = {
                    "median": statistics.median(values),
                    "lowest": min(values),
                    "highest": max(values),
                }
    return summary


def print_table(summary, columns, rate):
    """Prints medians to standard error, and how much faster the first competitor is in `rate`.

    `columns` maps a field to its (heading, scale, format).
    """
    width = max(len(name) for name in summary)
    print(f"\n{'':{width}}", *(f"{c[0]:>12}" for c in columns.values()), file=sys.stderr, end="")
    print(f"{'ratio':>12}{'lowest to highest ' + columns[rate][0]:>32}", file=sys.stderr)
    first = next(iter(summary.values()))[rate]["median"]
    for name, fields in summary.items():
        cells = [
            format(fields[field]["median"] * scale, f">12{form}")
            if field in fields
            else f"{'-':>12}"
            for field, (_, scale, form) in columns.items()
        ]
        ratio = first / fields[rate]["median"]
        _, scale, form = columns[rate]
        spread = " to ".join(format(fields[rate][k] * scale, form) for k in ("lowest", "highest"))
        print(f"{name:{width}}", *cells, f"{ratio:>11.2f}{spread:>32}", file=sys.stderr)
    print("Medians over the rounds. Ratio: the first line's rate over this line's.\n",
          file=sys.stderr)  # fmt: skip


def ratios(summary, rate):
    """The first competitor's median rate divided by each of the others'."""
    first, *others = summary
    return {
        name: summary[first][rate]["median"] / summary[name][rate]["median"] for name in others
    }


def machine(threads):
    """What a reader needs to judge the figures."""
    model = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
            model = names[0] if names else model
    except OSError:
        pass
    return {"cpu": model, "cores": os.cpu_count(), "threads": threads}
