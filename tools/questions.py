"""Fixed questions, and what Limbeck says to them; shared by the checks of this folder.

Not a program. Limbeck's side is `limbeck answer --json --logits`, fed with JSON lines.
"""

import json
import subprocess
import sys

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


def question_lines():
    return "".join(json.dumps(entry) + "\n" for entry in QUESTIONS)


def ask_limbeck(limbeck, model, max_length, doc_stride):
    """One parsed result for each question; ends the program where Limbeck fails."""
    command = [
        limbeck, "answer", "--model", model, "--json", "--logits",
        "--task", "squad", "--max-length", str(max_length),
        "--doc-stride", str(doc_stride), "--doc-stride-meaning", "overlap",
        # No question is as long as this; short windows must leave room for the context.
        "--max-query-length", str(min(64, max_length // 2)),
    ]  # fmt: skip
    try:
        finished = subprocess.run(
            command, input=question_lines(), stdout=subprocess.PIPE, text=True
        )
    except OSError as error:
        sys.exit(f"cannot run {limbeck}: {error.strerror}")
    if finished.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {finished.returncode}\n{finished.stdout}")
    return parse(finished.stdout)


def parse(output):
    """The results in Limbeck's output, which must be one for each question."""
    results = [json.loads(line) for line in output.splitlines() if line.strip()]
    if len(results) != len(QUESTIONS):
        sys.exit(f"limbeck gave {len(results)} results for {len(QUESTIONS)} questions")
    return results
