#!/usr/bin/env python3
"""Five orders to their five outcomes on a local AWS, by the commands that a user and a restaurant would type.

Exits 0 only if tables, events, customer message and execution of every order say what they should.
"""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from stack import ROOT, StackError, aws_cli, outputs, say, temporary_stack

SHORT_TIMEOUT = 5
WAIT_SECONDS = 60


@dataclass
class Scenario:
    """One order, what happens to it, and what must come of it."""

    event: str
    happens: str
    answer: list[str] | None
    status: str
    message: str
    reason: str | None = None
    # The answer by the web page of the order, as the fields of its form.
    form: list[str] | None = None


SCENARIOS = [
    Scenario(
        "accepted",
        "the restaurant accepts",
        ["send-task-success", "--task-output", '{"isAccepted": true}'],
        "ACCEPTED",
        "Order confirmed",
    ),
    Scenario(
        "rejected",
        "the restaurant declines, by the link that it was sent",
        None,
        "REJECTED",
        "Order declined",
        "Out of dough",
        ["do=decline", "reason=Out of dough", "sure=yes"],
    ),
    Scenario(
        "cancelled",
        "the customer cancels",
        ["send-task-success", "--task-output", '{"isCancelled": true, "reason": "Ordered twice"}'],
        "CANCELLED",
        "Order cancelled",
        "Ordered twice",
    ),
    Scenario("timed-out", "the restaurant is silent", None, "TIMED_OUT", "Order expired"),
    Scenario(
        "failed",
        "the restaurant reports a failure",
        ["send-task-failure", "--error", "RestaurantUnavailable", "--cause", "The oven is broken"],
        "FAILED",
        "Order could not be processed",
        "RestaurantUnavailable: The oven is broken",
    ),
]


class Shell:
    """Runs AWS CLI commands, each printed first. In print, values stand as the shell variables that hold them."""

    def __init__(self, port):
        self.port = port
        self.variables = {}

    def set(self, name, value):
        self.variables[f"${name}"] = value
        return f"${name}"

    def aws(self, *arguments, quiet=False):
        if not quiet:
            shown = " ".join(f'"{a}"' if a in self.variables else shlex.quote(a) for a in arguments)
            print(f"    $ aws {shown}", flush=True)
        return aws_cli(self.port, *(self.variables.get(a, a) for a in arguments))

    def receive(self, queue, wanted):
        """Takes messages off a queue until one is wanted; gives its body and its receipt."""
        deadline = time.monotonic() + WAIT_SECONDS
        command = ["sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "5"]
        shown = False
        while time.monotonic() < deadline:
            for message in self.aws(*command, quiet=shown).get("Messages", []):
                body = json.loads(message["Body"])
                if wanted(body):
                    return body, message["ReceiptHandle"]
            shown = True
        raise StackError(f"Nothing that was expected arrived in {queue} within {WAIT_SECONDS} s")

    def curl(self, address, *fields):
        """Sends a form to a web page, and follows to what became of it; gives that as JSON."""
        data = [each for field in fields for each in ("--data-urlencode", field)]
        command = ["curl", "--silent", "--show-error", "--location", "--header", "Accept: application/json"]
        shown = " ".join([*map(shlex.quote, command), f'"{address}"', *map(shlex.quote, data)])
        print(f"    $ {shown}", flush=True)
        command += ["--noproxy", "*", self.variables[address], *data]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"curl failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def drop(self, queue, receipt):
        self.aws("sqs", "delete-message", "--queue-url", queue, "--receipt-handle", receipt, quiet=True)


def subscribed_queues(shell):
    """Queues of the demo's own, which hear the restaurants' messages, the events, the customers' messages and the links."""
    say("Subscribing queues: one as a restaurant's own system would, and three to show events, customers' messages and links here")
    queues = {}
    for name in ("restaurants", "customers", "events", "links"):
        url = shell.aws("sqs", "create-queue", "--queue-name", f"demo-{name}")["QueueUrl"]
        queues[name] = shell.set(name.upper(), url)
        attributes = shell.aws(
            *("sqs", "get-queue-attributes", "--queue-url", queues[name], "--attribute-names", "QueueArn"), quiet=True
        )
        shell.set(f"{name.upper()}_ARN", attributes["Attributes"]["QueueArn"])
    for topic, name in (("$RestaurantTopicArn", "RESTAURANTS"), ("$UserTopicArn", "CUSTOMERS")):
        shell.aws(
            *("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs"),
            *("--notification-endpoint", f"${name}_ARN", "--attributes", "RawMessageDelivery=true"),
        )
    shell.aws(
        *("sns", "subscribe", "--topic-arn", "$LinksTopicArn", "--protocol", "sqs"),
        *("--notification-endpoint", "$LINKS_ARN"),
    )
    pattern = json.dumps({"source": ["order-processing"]})
    rule = ["--event-bus-name", "$EventBusName"]
    shell.aws("events", "put-rule", "--name", "demo-events", *rule, "--event-pattern", pattern)
    target = f"Id=queue,Arn={shell.variables['$EVENTS_ARN']}"
    shell.aws("events", "put-targets", "--rule", "demo-events", *rule, "--targets", target)
    return queues


def open_order(shell, order, field):
    """A field of an order's row in the table of open orders, once it is there."""
    key = {name: {"S": order[name]} for name in ("restaurant_id", "order_id")}
    get = ["dynamodb", "get-item", "--table-name", "$OpenOrdersTableName", "--key", json.dumps(key)]
    deadline = time.monotonic() + WAIT_SECONDS
    shown = False
    while time.monotonic() < deadline:
        if found := shell.aws(*get, "--query", f"Item.{field}.S", quiet=shown):
            return found
        shown = True
        time.sleep(0.2)
    raise StackError(f"{order['order_id']} has no {field} in the table of open orders after {WAIT_SECONDS} s")


def impatient_state_machine(shell):
    """The deployed state machine once more, waiting seconds instead of minutes: for this demo's silent restaurant."""
    say(f"Copying the state machine with a timeout of {SHORT_TIMEOUT} s instead of 600 s, for the silent restaurant")
    deployed = shell.aws("stepfunctions", "describe-state-machine", "--state-machine-arn", "$StateMachineArn")
    definition = json.loads(deployed["definition"])
    notify = definition["States"]["Notify restaurant"]
    deadline = f"{notify['TimeoutSeconds']} * 1000"
    notify["Arguments"]["Message"] = notify["Arguments"]["Message"].replace(deadline, f"{SHORT_TIMEOUT} * 1000")
    notify["TimeoutSeconds"] = SHORT_TIMEOUT
    copy = shell.aws(
        *("stepfunctions", "create-state-machine", "--name", "order-workflow-impatient"),
        *("--role-arn", shell.set("ROLE_ARN", deployed["roleArn"])),
        *("--definition", shell.set("DEFINITION", json.dumps(definition))),
    )
    shell.set("ImpatientStateMachineArn", copy["stateMachineArn"])


def run(shell, scenario, queues):
    """Places one order, answers it as the scenario says, and gives what came of it."""
    file = Path("events") / f"{scenario.event}.json"
    order = json.loads((ROOT / file).read_text())
    order_id = order["order_id"]
    print()
    say(f"Order {order_id}: {scenario.happens}")
    answered = scenario.answer or scenario.form
    machine = "$StateMachineArn" if answered else "$ImpatientStateMachineArn"
    started = shell.aws(
        *("stepfunctions", "start-execution", "--state-machine-arn", machine),
        *("--name", order_id, "--input", f"file://{file}"),
    )
    execution = shell.set("EXECUTION_ARN", started["executionArn"])

    request, receipt = shell.receive(queues["restaurants"], lambda body: body["order_id"] == order_id)
    shell.drop(queues["restaurants"], receipt)
    sent = shell.set("TASK_TOKEN", request["task_token"])
    print(f"      the restaurant gets: {json.dumps(request | {'task_token': sent}, ensure_ascii=False)}")
    if scenario.answer:
        token = shell.set("TASK_TOKEN", open_order(shell, order, "task_token"))
        if shell.variables[token] != request["task_token"]:
            raise StackError(f"The table of open orders has another task token of {order_id} than its restaurant got")
        command, *details = scenario.answer
        shell.aws("stepfunctions", command, "--task-token", token, *details)
    elif scenario.form:
        told, receipt = shell.receive(queues["links"], lambda body: order_id in body.get("Message", ""))
        shell.drop(queues["links"], receipt)
        print(f"      by e-mail or SMS: {told['Message'].splitlines()[0]}")
        shown = shell.curl(shell.set("LINK", told["Message"].split()[-1]), *scenario.form)
        print(f"      the page says: {json.dumps(shown, ensure_ascii=False)}")
    else:
        print(f"      (no answer for {SHORT_TIMEOUT} s)")

    seen = []
    while len(seen) < 2:
        event, receipt = shell.receive(queues["events"], lambda body: body["detail"]["order_id"] == order_id)
        shell.drop(queues["events"], receipt)
        seen.append(event)
    message, receipt = shell.receive(queues["customers"], lambda body: body["order_id"] == order_id)
    shell.drop(queues["customers"], receipt)
    key = json.dumps({"order_id": {"S": order_id}})
    item = shell.aws("dynamodb", "get-item", "--table-name", "$OrdersTableName", "--key", key)["Item"]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        ended = shell.aws("stepfunctions", "describe-execution", "--execution-arn", execution)
        if ended["status"] != "RUNNING" or time.monotonic() > deadline:
            break
        time.sleep(0.2)

    closed_at = open_order(shell, order, "closed_at")
    result = {
        "order": order_id,
        "what happens": scenario.happens,
        "status": item["status"]["S"],
        "events": ", ".join(sorted((e["detail-type"] for e in seen), key=lambda name: name != "ORDER_PLACED")),
        "the customer reads": message["message"],
        "execution": ended["status"],
    }
    reason = item.get("status_reason", {}).get("S")
    print(f"      table:    {result['status']}" + (f" ({reason})" if reason else ""))
    print(f"      closed:   {closed_at}")
    print(f"      events:   {result['events']}")
    print(f"      customer: {result['the customer reads']}")
    print(f"      output:   {ended.get('output')}")

    expected_output = {"order_id": order_id, "status": scenario.status}
    if scenario.reason:
        expected_output["status_reason"] = scenario.reason
    as_it_should_be = {
        "order": order_id,
        "what happens": scenario.happens,
        "status": scenario.status,
        "events": f"ORDER_PLACED, ORDER_{scenario.status}",
        "the customer reads": scenario.message,
        "execution": "SUCCEEDED",
    }
    right = (
        result == as_it_should_be and reason == scenario.reason and json.loads(ended["output"]) == expected_output
    )
    return result | {"as it should be": "yes" if right else "NO"}


def print_table(rows):
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    print()
    print("  ".join(name.ljust(width) for name, width in widths.items()))
    print("  ".join("-" * width for width in widths.values()))
    for row in rows:
        print("  ".join(row[name].ljust(width) for name, width in widths.items()))


def main():
    begun = time.monotonic()
    with temporary_stack() as port:
        shell = Shell(port)
        say("The stack's outputs, used below by their names:")
        for name, value in outputs(port).items():
            shell.set(name, value)
            print(f"      {name}={value}")
        queues = subscribed_queues(shell)
        impatient_state_machine(shell)
        rows = [run(shell, scenario, queues) for scenario in SCENARIOS]
        print_table(rows)
        print()
    wrong = [row["order"] for row in rows if row["as it should be"] != "yes"]
    if wrong:
        raise StackError(f"These orders did not end as they should: {', '.join(wrong)}")
    say(f"All five orders ended as they should. {time.monotonic() - begun:.0f} s in all.")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
