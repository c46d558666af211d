"""Runs the load generator."""

import json
import os
import subprocess

from harness import CATCHMENT


def load(agent, signal="logs", protocol="grpc", compression="none", prefix=(), **options):
    """Sends records of a signal and returns the generator's report."""
    command = [*prefix, CATCHMENT, "load", "--endpoint", endpoint(agent, protocol), "--protocol", protocol]
    command += ["--signal", signal, "--compression", compression, "--json"]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode != 0:
        text = f"{run.stdout}{run.stderr}\n{agent.log()[-2000:]}"
        raise AssertionError(f"{' '.join(map(str, command))}: status {run.returncode}\n{text}")
    return json.loads(run.stdout)


def endpoint(agent, protocol):
    return agent.http if protocol == "http" else f"http://{agent.grpc}"


def on_core(core):
    """The beginning of a command that runs on one core."""
    return ["taskset", "--cpu-list", str(core % os.cpu_count())]
