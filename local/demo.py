#!/usr/bin/env python3
"""Five orders to their five outcomes on a local AWS, by the commands that a user and a restaurant would type.

Exits 0 only if tables, events, customer message and execution of every order say what they should.
"""

import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from orders import EVENT_SOURCE, MESSAGES, SHORT_TIMEOUT, Orders, example, open_queue
from stack import StackError, aws_cli, outputs, say, temporary_stack, until

# A value longer than this is shown as the shell variable that would hold it.
LONG = 80


@dataclass
class Scenario:
    """One order, what happens to it, and what must come of it."""

    event: str
    happens: str
    # As `Orders.answer` takes it; or, as a list, the fields of the form on the order's web page.
    answer: dict | tuple | list | None
    status: str
    reason: str | None = None
    # In how many minutes the restaurant says that the order is ready.
    ready_in: int | None = None


SCENARIOS = [
    Scenario(
        "accepted",
        "the restaurant accepts",
        {"isAccepted": True},
        "ACCEPTED",
        ready_in=25,
    ),
    Scenario(
        "rejected",
        "the restaurant declines, by the link that it was sent",
        ["do=decline", "reason=Out of dough", "sure=yes"],
        "REJECTED",
        "Out of dough",
    ),
    Scenario(
        "cancelled",
        "the customer cancels",
        {"isCancelled": True, "reason": "Ordered twice"},
        "CANCELLED",
        "Ordered twice",
    ),
    Scenario("timed-out", "the restaurant is silent", None, "TIMED_OUT"),
    Scenario(
        "failed",
        "the restaurant reports a failure",
        ("RestaurantUnavailable", "The oven is broken"),
        "FAILED",
        "RestaurantUnavailable: The oven is broken",
    ),
]


class Shell:
    """Runs AWS CLI commands, each shown first. A command that is repeated until it finds something is shown once."""

    def __init__(self):
        # What is shown instead of a value.
        self.shown = {}
        self.last = None

    def aws(self, *arguments, quiet=False):
        words = []
        for option, value in zip(("", *arguments), arguments):
            variable = option.lstrip("-").replace("-", "_").upper()
            short = f'"${variable}"' if len(value) > LONG else shlex.quote(value)
            words.append(self.shown.get(value, short))
        command = " ".join(words)
        if not quiet and command != self.last:
            print(f"    $ aws {command}", flush=True)
            self.last = command
        return aws_cli(*arguments)

    def call(self, service, operation, **arguments):
        """The same with boto3's names, for `Orders`."""
        words = [service, operation.replace("_", "-")]
        for name, value in arguments.items():
            # The CLI's own --output is the format that it prints.
            name = "taskOutput" if name == "output" else name
            option = re.sub("(?<=[a-z])(?=[A-Z])", "-", name).lower()
            words += [f"--{option}", value if isinstance(value, str) else json.dumps(value)]
        return self.aws(*words)

    def curl(self, link, fields):
        """Sends a form to a web page, and follows to what became of it; gives that as JSON."""
        data = [each for field in fields for each in ("--data-urlencode", field)]
        command = ["curl", "--silent", "--show-error", "--location", "--header", "Accept: application/json", *data]
        print(f'    $ {shlex.join(command)} "$LINK"', flush=True)
        done = subprocess.run([*command, "--noproxy", "*", link], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"curl failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def take(self, queue, wanted, what):
        """Takes messages off a queue until one is wanted; gives its body."""

        def look():
            received = self.aws("sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "5")
            for message in received.get("Messages", []):
                body = json.loads(message["Body"])
                if wanted(body):
                    receipt = message["ReceiptHandle"]
                    self.aws("sqs", "delete-message", "--queue-url", queue, "--receipt-handle", receipt, quiet=True)
                    return body
            return None

        return until(look, what)


def subscribed_queues(shell, outputs):
    """Queues of the demo, which receive the restaurants' messages, the events, the customers' messages and the links."""
    say("Subscribing queues: one as a restaurant's own system would, and three to show what else is said here")
    queues, arns = {}, {}
    for name in ("restaurants", "customers", "events", "links"):
        url = queues[name] = shell.aws("sqs", "create-queue", "--queue-name", f"demo-{name}")["QueueUrl"]
        shell.shown[url] = f'"${name.upper()}"'
        get = ["sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn"]
        arns[name] = shell.aws(*get, quiet=True)["Attributes"]["QueueArn"]
        shell.shown[arns[name]] = f'"${name.upper()}_ARN"'
        attributes = json.dumps(open_queue(arns[name]))
        shell.shown[attributes] = f'"$SNS_AND_EVENTBRIDGE_MAY_SEND_TO_{name.upper()}"'
        shell.aws("sqs", "set-queue-attributes", "--queue-url", url, "--attributes", attributes)
    for topic, name in (("RestaurantTopicArn", "restaurants"), ("UserTopicArn", "customers")):
        shell.aws(
            *("sns", "subscribe", "--topic-arn", outputs[topic], "--protocol", "sqs"),
            *("--notification-endpoint", arns[name], "--attributes", "RawMessageDelivery=true"),
        )
    subscribe = ["sns", "subscribe", "--topic-arn", outputs["LinksTopicArn"], "--protocol", "sqs"]
    shell.aws(*subscribe, "--notification-endpoint", arns["links"])
    pattern = json.dumps({"source": [EVENT_SOURCE]})
    rule = ["--event-bus-name", outputs["EventBusName"]]
    shell.aws("events", "put-rule", "--name", "demo-events", *rule, "--event-pattern", pattern)
    shell.aws("events", "put-targets", "--rule", "demo-events", *rule, "--targets", f"Id=queue,Arn={arns['events']}")
    return queues


def run(shell, orders, scenario, queues, impatient_machine):
    """Places one order, answers it as the scenario says, and gives what came of it."""
    order = example(scenario.event)
    order_id = order["order_id"]
    print()
    say(f"Order {order_id}: {scenario.happens}")
    shell.shown[json.dumps(order)] = f"file://events/{scenario.event}.json"
    execution = orders.place(order, None if scenario.answer else impatient_machine)
    shell.shown[execution] = '"$EXECUTION_ARN"'

    request = shell.take(
        queues["restaurants"], lambda body: body["order_id"] == order_id, f"message of {order_id} to its restaurant"
    )
    shell.shown[request["task_token"]] = '"$TASK_TOKEN"'
    shown = request | {"task_token": "$TASK_TOKEN"}
    print(f"      the restaurant gets: {json.dumps(shown, ensure_ascii=False)}")
    said = {"status": scenario.status}
    if scenario.reason:
        said["status_reason"] = scenario.reason
    if isinstance(scenario.answer, list):
        link = shell.take(queues["links"], lambda body: order_id in body["Message"], f"link to {order_id}")
        *text, url = link["Message"].split()
        print(f"      by e-mail or SMS: {' '.join(text)} $LINK")
        page = shell.curl(url, scenario.answer)
        print(f"      the page says: {json.dumps(page, ensure_ascii=False)}")
    elif scenario.answer:
        if orders.token(order) != request["task_token"]:
            raise StackError(f"The table of open orders has another task token of {order_id} than its restaurant got")
        answer = scenario.answer
        if scenario.ready_in:
            ready_at = datetime.now(timezone.utc) + timedelta(minutes=scenario.ready_in)
            said["ready_at"] = ready_at.isoformat(timespec="seconds").replace("+00:00", "Z")
            answer = answer | {"ready_at": said["ready_at"]}
        orders.answer(request["task_token"], answer)
    else:
        print(f"      (no answer for {SHORT_TIMEOUT} s)")

    def of_order(body):
        return body["detail"]["order_id"] == order_id

    events = [shell.take(queues["events"], of_order, f"event of {order_id}") for _ in range(2)]
    events.sort(key=lambda event: event["detail-type"] != "ORDER_PLACED")
    message = shell.take(
        queues["customers"], lambda body: body["order_id"] == order_id, f"message of {order_id} to its customer"
    )
    item = {name: value.get("S") for name, value in orders.item(order_id).items()}
    ended = orders.end(execution)
    closed_at = orders.row_with("closed_at", order)["closed_at"]["S"]

    output = json.loads(ended.get("output") or "{}")
    result = {
        "order": order_id,
        "what happens": scenario.happens,
        "status": item["status"],
        "events": ", ".join(event["detail-type"] for event in events),
        "the customer reads": message["message"],
        "execution": ended["status"],
    }
    print(f"      table:    {with_details(item['status'], item)}")
    print(f"      closed:   {closed_at}")
    print(f"      events:   {with_details(result['events'], events[1]['detail'])}")
    print(f"      customer: {with_details(message['message'], message)}")
    print(f"      output:   {json.dumps(output)}")

    as_it_should_be = {
        "order": order_id,
        "what happens": scenario.happens,
        "status": scenario.status,
        "events": f"ORDER_PLACED, ORDER_{scenario.status}",
        "the customer reads": MESSAGES[scenario.status],
        "execution": "SUCCEEDED",
    }
    # A technical reason is not for the customer.
    told = {name: value for name, value in said.items() if name != "status_reason" or scenario.status != "FAILED"}
    right = (
        result == as_it_should_be
        and output == {"order_id": order_id} | said
        and details(item) == details(events[1]["detail"]) == said
        and details(message) == told
    )
    return result | {"as it should be": "yes" if right else "NO"}


def details(told):
    """The fields that tell what was decided of an order, as far as a text has them."""
    return {name: told[name] for name in ("status", "status_reason", "ready_at") if name in told}


def with_details(text, told):
    found = [told["status_reason"]] if "status_reason" in told else []
    found += [f"ready at {told['ready_at']}"] if "ready_at" in told else []
    return f"{text} ({', '.join(found)})" if found else text


def print_table(rows):
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    print()
    print("  ".join(name.ljust(width) for name, width in widths.items()))
    print("  ".join("-" * width for width in widths.values()))
    for row in rows:
        print("  ".join(row[name].ljust(width) for name, width in widths.items()))


def main():
    begun = time.monotonic()
    if untold := MESSAGES.keys() - {scenario.status for scenario in SCENARIOS}:
        raise StackError(f"The demo has no order that ends as {untold}")
    # Without optimization, which takes most of a first build: the first order comes sooner.
    with temporary_stack(quick=True):
        shell, found = Shell(), outputs()
        say("The stack's outputs, used below by their names:")
        for name, value in found.items():
            shell.shown[value] = f'"${name}"'
            print(f"      {name}={value}")
        queues = subscribed_queues(shell, found)
        orders = Orders(found, shell.call)
        say(f"Copying the state machine with a timeout of {SHORT_TIMEOUT} s instead of 600 s, for the silent restaurant")
        impatient_machine = orders.impatient_machine()
        shell.shown[impatient_machine] = '"$ImpatientStateMachineArn"'
        rows = [run(shell, orders, scenario, queues, impatient_machine) for scenario in SCENARIOS]
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
