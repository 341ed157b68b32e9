"""Reads a folder of event files with the real TensorBoard reader.

    python tools/check_tensorboard.py LOGDIR

Prints a JSON object: for each scalar tag the number of points, and the step and value
of the last one. Points that the reader drops (after a resume, or behind a broken
record) are not counted, so compare the counts with what was written.
Needs `pip install tensorboard`.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} LOGDIR")
    # 0: keep every point instead of a sample.
    reader = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
    reader.Reload()
    tags = {}
    for tag in sorted(reader.Tags()["scalars"]):
        points = reader.Scalars(tag)
        last = points[-1] if points else None
        tags[tag] = {
            "count": len(points),
            "last_step": last.step if last else None,
            "last_value": last.value if last else None,
        }
    print(json.dumps(tags, indent=2))


if __name__ == "__main__":
    main()
