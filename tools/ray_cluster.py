"""What tools/ray_cluster.sh asks of the cluster, and of what came of it.

    ray_cluster.py second TOKEN              waits until a job begins to run on the second node
    ray_cluster.py same STUDY TRIALS RUNS    every trial is complete once, with its own values
    ray_cluster.py recipe STUDY TRIALS       every trial is complete once, with sound metrics
"""

import collections
import json
import sys
import time
import urllib.request


def second(token):
    request = urllib.request.Request(
        "http://127.0.0.1:8265/api/jobs/",
        headers={"Authorization": f"Bearer {open(token).read()}"},
    )
    known = None
    while True:
        running = {
            job["submission_id"]
            for job in json.load(urllib.request.urlopen(request, timeout=60))
            if job["status"] == "RUNNING"
            and "127.0.0.3" in (job["driver_agent_http_address"] or "")
        }
        known = running if known is None else known & running
        if running - known:
            return
        time.sleep(0.1)


def study(path, trials):
    """Its trials' values and their outcomes, each of which there must be once."""
    lines = [json.loads(line) for line in open(path)]
    events = [event for line in lines for event in (line if isinstance(line, list) else [line])]
    of = lambda kind: [event for event in events if event["event"] == kind]
    values = {event["trial"]: event["params"] for event in of("suggest")}
    complete = collections.Counter(event["trial"] for event in of("complete"))
    assert len(values) == trials, values
    assert all(complete[trial] == 1 for trial in values), complete
    for event in of("lose"):
        print(f"trial {event['trial']}, attempt {event['attempt']}: {event['reason']}")
    assert any("lost its job" in event["reason"] for event in of("lose")), "the node's trial"
    return values, of("complete"), of("run")


def same(path, trials, runs):
    values, complete, _ = study(path, int(trials))
    for event in complete:
        assert event["metrics"]["same"] == values[event["trial"]]["x"], event
    ran = len(open(runs).readlines())
    print(f"{trials} trials, each complete once with its own values; {ran} commands ran to their end")


def recipe(path, trials):
    values, complete, runs = study(path, int(trials))
    seen = {}
    for event in complete:
        metrics, layers = event["metrics"], values[event["trial"]]["n_layers"]
        assert metrics["total"] > 0 and 0 <= metrics["exact"] <= metrics["f1"] <= 100, event
        assert metrics["latency"] > 0, event
        seen.setdefault(layers, []).append(metrics["parameters"])
    sizes = [max(seen[layers]) for layers in sorted(seen)]
    assert len(sizes) < 2 or sizes[0] < sizes[-1], "more layers, more parameters"
    began = {(event["trial"], event["attempt"]): event["time"] for event in runs}
    seconds = sorted(
        event["time"] - began[event["trial"], event["attempt"]] for event in complete
    )
    print(
        f"{trials} trials in {len(runs)} attempts, each complete once; a trial took "
        f"{seconds[0]:.0f} to {seconds[-1]:.0f} s, {seconds[len(seconds) // 2]:.0f} in the middle"
    )


{"second": second, "same": same, "recipe": recipe}[sys.argv[1]](*sys.argv[2:])
