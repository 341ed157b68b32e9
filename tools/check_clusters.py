"""The cluster files of the guide, against the schema and the defaults of the installed Ray.

    check_clusters.py docs/cluster/*.yaml          needs the Python package ray
"""

import json
import pathlib
import sys

import jsonschema
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import fillout_defaults, validate_config

schema = json.loads((pathlib.Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())

for path in sys.argv[1:]:
    with open(path) as file:
        config = yaml.safe_load(file)
    jsonschema.validate(config, schema)
    # What `ray up` makes of it has to hold too.
    filled = fillout_defaults(config)
    validate_config(filled)
    types = config["available_node_types"]
    assert config["head_node_type"] in types, "the head's type"
    workers = [name for name in types if name != config["head_node_type"]]
    assert workers and all(types[name]["max_workers"] > 0 for name in workers), "workers"
    commands = filled["head_start_ray_commands"] + filled["worker_start_ray_commands"]
    assert any("--head" in command for command in commands), "the head is started"
    # A cluster that anybody can reach runs anybody's programs.
    assert not any("0.0.0.0" in command for command in commands), "the dashboard is closed"
    print(f"{path}: as Ray's schema has it")
