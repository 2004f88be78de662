#!/usr/bin/env python3
"""Records what the definition sends to the functions and what they reply, from real executions with every outcome.

`make requests` writes them to tests/requests, into a file named by the version in Cargo.toml. The functions' tests send them
again: orders that wait while a later release is deployed, and executions that are redriven after it, still send them. With
`CHECK=1`, nothing is written: it fails if the file has not the fields that are sent and replied now.

The executions are those of a copy of the state machine that keeps each request and reply in a variable, since the histories of
the local AWS have no requests.
"""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import Orders, example, impatient
from stack import FUNCTIONS, ROOT, StackError, aws, outputs, say

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
FILE = ROOT / "tests" / "requests" / f"{VERSION}.jsonl"

# How each order's restaurant answers, as `Orders.answer` takes it. None for silence.
ANSWERS = [
    {"isAccepted": True},
    {"isAccepted": True, "ready_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")},
    {"isAccepted": False},
    {"isAccepted": False, "reason": "Out of dough"},
    {"isCancelled": True},
    {"isCancelled": True, "reason": "The customer called"},
    ("OvenBroken", "No heat"),
    ["no answer that the restaurant may give"],
    None,
]


def recording(definition):
    """A definition whose executions' output is all that was sent to functions, and all that they replied."""
    kept = []
    for state in definition["States"].values():
        if state.get("Resource") == "arn:aws:states:::lambda:invoke":
            arguments = state["Arguments"]
            record = {"function": arguments["FunctionName"], "request": arguments["Payload"], "reply": "{% $states.result.Payload %}"}
            kept.append(f"recorded_{len(kept)}")
            state.setdefault("Assign", {})[kept[-1]] = record
        if state.pop("End", False):
            state["Next"] = "Give what was recorded"
    output = [f"{{% ${name} %}}" for name in kept]
    definition["States"]["Give what was recorded"] = {"Type": "Pass", "Output": output, "End": True}
    return definition


def record():
    """Each request to a function, with its reply."""
    orders = Orders(outputs())
    states = aws("stepfunctions")
    deployed = states.describe_state_machine(stateMachineArn=orders.outputs["StateMachineArn"])
    definition = json.dumps(recording(impatient(json.loads(deployed["definition"]))))
    machine = states.create_state_machine(name="recorded", roleArn=deployed["roleArn"], definition=definition)
    executions = []
    for number, answer in enumerate(ANSWERS):
        order = example(order_id=f"ord-{number}")
        if number == 0:
            del order["note"]
        executions.append(orders.place(order, machine["stateMachineArn"]))
        if answer is not None:
            orders.answer(orders.token(order), answer)
    records = []
    for execution in executions:
        end = orders.end(execution)
        if end["status"] != "SUCCEEDED":
            raise StackError(f"{execution} has no outcome: {end.get('error')}, {end.get('cause')}")
        for each in json.loads(end["output"]):
            arn = each["function"].lower()
            records.append(each | {"function": next(name for name in FUNCTIONS if name.replace("-", "") in arn)})
    return records


def shape(value):
    """A text that two values share which have the same fields with values of the same types."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {shape(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(sorted({shape(each) for each in value})) + "]"
    return type(value).__name__


def shapes(records):
    return {(each["function"], shape(each)) for each in records}


def main():
    check = sys.argv[1:] == ["--check"]
    tag = f"v{FILE.stem}"
    if not check and subprocess.run(["git", "tag", "--list", tag], cwd=ROOT, capture_output=True, check=True).stdout:
        raise StackError(f"{tag} is released, and its recording stays. Raise the version in Cargo.toml first")
    found = record()
    if check:
        recorded = [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.exists() else []
        if shapes(recorded) != shapes(found):
            raise StackError(f"{FILE.relative_to(ROOT)} is not what is sent and replied now. Record it by `make requests`")
        say(f"{FILE.relative_to(ROOT)} has the fields that are sent and replied now")
        return
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in found))
    say(f"Recorded {len(found)} requests and replies in {FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
