"""What a run told CloudWatch Logs.

    check_cloudwatch.py signature LIMBECK ARGUMENTS...   a request's signature is that of botocore
    check_cloudwatch.py group GROUP RUN_FOLDER           the stream has every line once, in order
"""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading


def signature(*command):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    seen = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((dict((k.lower(), v) for k, v in self.headers.items()), body))
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    environment = os.environ | {"AWS_ENDPOINT_URL": address, "AWS_SESSION_TOKEN": "t/o+k=n"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "503" in done.stderr, done.stderr
    assert seen, "nothing was asked"
    own = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], "t/o+k=n")
    for headers, body in seen:
        kept = {
            name: headers[name]
            for name in ["content-type", "host", "x-amz-date", "x-amz-target"]
        }
        request = AWSRequest("POST", f"{address}/", headers=kept, data=body)
        auth = SigV4Auth(own, "logs", os.environ["AWS_REGION"])
        request.context["timestamp"] = headers["x-amz-date"]
        request.headers["X-Amz-Security-Token"] = "t/o+k=n"
        canonical = auth.canonical_request(request)
        text = auth.string_to_sign(request, canonical)
        expected = auth.signature(text, request)
        assert headers["authorization"].endswith(f"Signature={expected}"), headers
    print(f"{len(seen)} requests with the signature that botocore gives them")


def group(name, folder):
    import boto3

    client = boto3.client("logs")
    streams = client.describe_log_streams(logGroupName=name)["logStreams"]
    stream = [s["logStreamName"] for s in streams if s["logStreamName"].startswith(f"{folder}/")]
    assert len(stream) == 1, streams
    events, token = [], {}
    while True:
        page = client.get_log_events(
            logGroupName=name, logStreamName=stream[0], startFromHead=True, **token
        )
        if not page["events"]:
            break
        events += [json.loads(event["message"]) for event in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    lines = pathlib.Path(folder, "train.jsonl").read_text().splitlines()
    lines = [{k: v for k, v in json.loads(line).items() if k != "time"} for line in lines]
    told = [event for event in events if "step" in event]
    # Of events whose answer was lost nobody knows whether they arrived: they are told again.
    again = len(told) - len(lines)
    arrived = iter(told)
    missing = [line for line in lines if line not in arrived]
    assert not missing and again >= 0, (len(told), len(lines), missing[:3])
    assert all(event in lines for event in told)
    assert [event for event in events if "configuration" in event][0]["configuration"]["task"]
    last = events[-1]
    assert last["ending"] == "finished" and last["metrics"]["total"] > 0, last
    print(f"CloudWatch Logs: {len(lines)} lines in {stream[0]}, in order, {again} of them twice")


{"signature": signature, "group": group}[sys.argv[1]](*sys.argv[2:])
