"""What an order uses of AWS, counted from real executions on a local AWS, one for each outcome."""

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "local"))
from demo import SCENARIOS  # noqa: E402
from orders import Orders, example  # noqa: E402
from stack import FUNCTIONS, StackError, aws, outputs, port_in_use, say  # noqa: E402

# A restaurant that is silent.
NO_ANSWER = None
# What CloudWatch adds to each line that is logged.
LOG_EVENT_OVERHEAD = 26
# How long a task token is taken to be: that of the local AWS is shorter than AWS's, which may have up to 2,048 bytes.
TOKEN_BYTES = 1024


@dataclass
class Usage:
    """What one order uses of AWS."""

    transitions: int
    functions: list[str]
    write_units: int
    events: int
    publishes: int
    log_bytes: float = 0
    # What keeps the table of open orders: messages of its queue, each of them a call of its function when few come.
    kept: int = 0
    open_write_units: int = 0
    kept_log_bytes: float = 0


def execute(orders, name, answer, impatient_machine, **changes):
    """Places one order, answers it, and gives its history, its item and, where it is answered, its row while it was open."""
    order = example(order_id="cost-" + re.sub(r"\W+", "-", name), **changes)
    row = None
    execution = orders.place(order, impatient_machine)
    if answer is not NO_ANSWER:
        row = orders.row_with("task_token", order)
        orders.answer(row["task_token"]["S"], answer)
        row = row | {"task_token": {"S": "x" * TOKEN_BYTES}}
    orders.end(execution)
    pages = aws("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    history = [event for page in pages for event in page["events"]]
    return history, orders.item(order["order_id"]), row


def count(definition, history, item, row):
    entered = [e["stateEnteredEventDetails"]["name"] for e in history if e["type"].endswith("StateEntered")]
    does = [definition["States"][name].get("Resource", "").removeprefix("arn:aws:states:::") for name in entered]
    functions = [
        re.sub(r"(?<!^)(?=[A-Z])", "-", definition["States"][name]["Arguments"]["FunctionName"][2:-1]).lower()
        for name, what in zip(entered, does, strict=True)
        if what == "lambda:invoke"
    ]
    functions = [name.removesuffix("-function") for name in functions]
    asked = sum(what.startswith("sns:publish") for what in does)
    writes = sum(name in ("save-order", "update-status") for name in functions) if item else 0
    return Usage(
        transitions=len(entered),
        functions=functions,
        write_units=writes * math.ceil(bytes_of(item) / 1024) if item else 0,
        events=does.count("events:putEvents"),
        publishes=asked + functions.count("notify-user"),
        # The offer and the final event.
        kept=2 * asked,
        open_write_units=open_write_units(math.ceil(bytes_of(row) / 1024)) if row else 0,
    )


def open_write_units(size):
    """What it takes to write an open row of this size, and to replace it by a closed one of one unit: each in the table and
    in the index that it comes into, and the open one is also taken out of its index.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/LSI.html"""
    opened = size + size
    closed = size + size + 1
    return opened + closed


def bytes_of(item):
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""

    def value(attribute):
        ((kind, held),) = attribute.items()
        if kind == "L":
            return 3 + sum(1 + value(entry) for entry in held)
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + value(entry) for name, entry in held.items())
        return len(held) // 2 + 2 if kind == "N" else len(str(held).encode())

    return sum(len(name.encode()) + value(attribute) for name, attribute in item.items())


def logged():
    """How many bytes each function logs for a request, and the names of all metrics."""
    size, metrics = {}, set()
    for function in FUNCTIONS:
        group = f"/aws/lambda/order-workflow/{function}"
        pages = aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        events = [event for page in pages for event in page["events"]]
        lines = [e["message"].strip() for e in events if e["message"].startswith("{")]
        requests = sum('"request served"' in line or '"message kept"' in line for line in lines)
        size[function] = sum(len(line.encode()) + LOG_EVENT_OVERHEAD for line in lines) / requests
        for line in (json.loads(line) for line in lines if '"_aws"' in line):
            metrics |= {m["Name"] for directive in line["_aws"]["CloudWatchMetrics"] for m in directive["Metrics"]}
    return size, metrics


def measure():
    """What each outcome uses, the sizes of the item and of its row while it is open, and the names of the custom metrics."""
    definition = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())
    answers = {s.status.lower().replace("_", " "): s.answer for s in SCENARIOS}
    answers["failed: malformed"] = {"isAccepted": "yes"}
    answers["failed: reported"] = answers.pop("failed")
    orders = Orders(outputs(port_in_use()))
    impatient_machine = orders.impatient_machine()
    usages, size, row_size, row = {}, 0, 0, None
    for name, answer in answers.items():
        say(f"One order to the outcome: {name}")
        machine = impatient_machine if answer is NO_ANSWER else None
        history, item, open_row = execute(orders, name, answer, machine)
        # A silent restaurant's order is open for seconds here, too short to look. Its row is like that of the others.
        row = open_row or row
        usages[name] = count(definition, history, item, row)
        size, row_size = max(size, bytes_of(item)), max(row_size, bytes_of(row))
    say("One order to the outcome: invalid")
    history, item, _ = execute(orders, "invalid", NO_ANSWER, None, currency="EURO")
    usages["invalid"] = count(definition, history, item, None)
    per_request, metrics = logged()
    for usage in usages.values():
        usage.log_bytes = sum(per_request[name] for name in usage.functions)
        usage.kept_log_bytes = usage.kept * per_request["open-orders"]
    return usages, size, row_size, metrics
