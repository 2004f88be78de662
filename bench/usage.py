"""What an order uses of AWS, counted from real executions on a local AWS, one for each outcome; and what a look at a
restaurant's page does."""

import json
import math
import re
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "local"))
from demo import SCENARIOS  # noqa: E402
from orders import FACTS, Orders, example  # noqa: E402
from stack import FUNCTIONS, StackError, aws, outputs, read_template, say, until  # noqa: E402
import web  # noqa: E402

# A restaurant that is silent.
NO_ANSWER = None
# What CloudWatch adds to each line that is logged.
LOG_EVENT_OVERHEAD = 26
# The assumed length of a task token: those of the local AWS are shorter than AWS's, which may have up to 2,048 bytes.
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


@dataclass
class Look:
    """Bytes of what a restaurant's page is answered, headers included, and of the rows that a look at it reads."""

    none_waits: int
    one_waits: int
    unchanged: int
    open_row: int
    closed_row: int
    link_log_bytes: float = 0


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
        # The message to the restaurant, and the final event.
        kept=2 * asked,
        open_write_units=open_write_units(math.ceil(bytes_of(row) / 1024)) if row else 0,
    )


def open_write_units(size):
    """The write units of an open row of this size, and of the closed row of one unit that replaces it: each in the table and
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
    """How many bytes each function logs for a request or a message."""
    size = {}
    for function in [*FUNCTIONS, "web-links"]:
        group = f"/aws/lambda/order-workflow/{function}"
        pages = aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        events = [event for page in pages for event in page["events"]]
        lines = [e["message"].strip() for e in events if e["message"].startswith("{")]
        served = ('"request served"', '"message kept"', '"link made"')
        requests = sum(any(said in line for said in served) for line in lines)
        size[function] = sum(len(line.encode()) + LOG_EVENT_OVERHEAD for line in lines) / requests
    return size


def custom_metrics():
    """The names of the metrics that the functions count."""
    return [status["metric"] for status in FACTS["statuses"]] + FACTS["other_metrics"]


def look(found, closed):
    """What a look at a restaurant's page takes when so many orders ended within the last hour."""
    orders, restaurant = Orders(found), "cost-page"
    link = web.link(found, "restaurant", restaurant)

    def get(etag=None):
        with closing(web.connect(link, 30)) as connection:
            response, body = web.look(connection, link, etag)
        head = f"HTTP/1.1 {response.status} {response.reason}\r\n{response.headers}"
        return response.status, len(head.encode()) + len(body), response.headers["ETag"]

    def page():
        status, size, etag = get()
        if status != 200:
            raise StackError(f"The restaurant's page was answered {status}")
        return size, etag

    def place(number):
        order = example(order_id=f"cost-page-{number}", restaurant_id=restaurant)
        orders.place(order)
        return order, orders.row_with("task_token", order)

    for number in range(closed):
        order, row = place(number)
        orders.answer(row["task_token"]["S"], {"isAccepted": True})
        closed_row = orders.row_with("closed_at", order)
    none_waits, etag = page()

    def unchanged():
        nonlocal etag
        status, size, etag = get(etag)
        return size if status == 304 else None

    # The page says how many minutes ago orders ended: at the turn of a minute it is another one.
    unchanged = until(unchanged, "unchanged page")
    _, open_row = place("waits")
    one_waits, _ = page()
    open_row |= {"task_token": {"S": "x" * TOKEN_BYTES}}
    return Look(none_waits, one_waits, unchanged, bytes_of(open_row), bytes_of(closed_row))


def measure(closed_orders):
    """What each outcome uses, the sizes of the item and of its row while it is open, and what a look at a page takes."""
    definition = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())
    answers = {s.status.lower().replace("_", " "): s.answer for s in SCENARIOS}
    # The demo answers this one by a form.
    answers["rejected"] = {"isAccepted": False, "reason": "Out of dough"}
    answers["failed: malformed"] = {"isAccepted": "yes"}
    answers["failed: reported"] = answers.pop("failed")
    found = outputs()
    orders = Orders(found)
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
    say("A restaurant's page")
    page = look(found, closed_orders)
    per_request = logged()
    for usage in usages.values():
        usage.log_bytes = sum(per_request[name] for name in usage.functions)
        usage.kept_log_bytes = usage.kept * per_request["open-orders"]
    page.link_log_bytes = per_request["web-links"]
    return usages, size, row_size, page
