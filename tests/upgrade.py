#!/usr/bin/env python3
"""Deploys this stack over that of an earlier commit or tag, while orders wait there for their restaurants.

The earlier stack is built from its own source and deployed to a local AWS that enforces IAM. One order for each outcome
waits there, this stack is deployed, and only then the restaurant answers. Each order must end with its outcome, its event
and its customer's message, and its restaurant must have been asked once. Orders placed afterwards must do the same. Then a
fault in a function is deployed and mended, and the order that it stopped is redriven to its outcome.

Run it by `make upgrade-test`, which deploys over the commit before the present one, or over `FROM=<tag or commit>`. The test
subscribes its own queues before the upgrade, and they must go on receiving after it, as a restaurant's own system would.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import EVENT_SOURCE, Orders, example, queue
from stack import (
    BUILD,
    ROOT,
    STATE,
    LocalAws,
    StackError,
    aws,
    build,
    deploy,
    outputs,
    say,
    target,
    temporary_name,
    until,
)

# The restaurant's answer for each final status, as `Orders.answer` takes it. No order waits for TIMED_OUT, which needs no answer.
ANSWERS = {
    "ACCEPTED": {"isAccepted": True},
    "REJECTED": {"isAccepted": False, "reason": "Out of dough"},
    "CANCELLED": {"isCancelled": True, "reason": "The customer called"},
    "FAILED": ("OvenBroken", "No heat"),
}


@contextmanager
def built(commit):
    """The build of an earlier commit, beside this one's. It starts with a copy of what this one compiled, since most libraries are
    the same. It must not share the folder: Cargo would take the earlier functions for those of this working copy."""
    build(quick=True)
    source = STATE / "upgrade"
    subprocess.run(["git", "worktree", "remove", "--force", source], cwd=ROOT, capture_output=True, check=False)
    subprocess.run(["git", "worktree", "add", "--quiet", "--force", "--detach", source, commit], cwd=ROOT, check=True)
    try:
        state = source / ".local"
        state.mkdir()
        (state / "venv").symlink_to(STATE / "venv")
        for compiled in [*target().glob("debug"), *target().glob("*/debug")]:
            copied = source / "target" / compiled.relative_to(target())
            shutil.copytree(compiled, copied, symlinks=True, ignore=what_no_build_needs)
        say(f"Building {commit}")
        done = subprocess.run(
            [sys.executable, "-c", "import stack; stack.build(quick=True)"],
            cwd=source,
            env=os.environ | {"PYTHONPATH": str(source / "local"), "CARGO_TARGET_DIR": str(source / "target")},
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"{commit} could not be built, see above")
        yield source / ".aws-sam" / "build"
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", source], cwd=ROOT, check=False)


def what_no_build_needs(folder, names):
    """The largest part of a folder of compiled code: tests and programs, and what is kept to compile a crate again sooner."""
    programs = [name for name in names if "." not in name] if folder.endswith("deps") else []
    return ["incremental", *programs]


class Observer:
    """Receives what the restaurants, the customers and other services receive."""

    def __init__(self, found):
        # The URL and the ARN of each queue.
        self.queues = {name: queue(f"upgrade-{name}") for name in ("restaurant", "customer", "events")}
        for name, topic in (("restaurant", "RestaurantTopicArn"), ("customer", "UserTopicArn")):
            aws("sns").subscribe(
                TopicArn=found[topic],
                Protocol="sqs",
                Endpoint=self.queues[name][1],
                Attributes={"RawMessageDelivery": "true"},
            )
        bus = found["EventBusName"]
        pattern = json.dumps({"source": [EVENT_SOURCE]})
        aws("events").put_rule(Name="upgrade", EventBusName=bus, EventPattern=pattern)
        targets = [{"Id": "upgrade", "Arn": self.queues["events"][1]}]
        aws("events").put_targets(Rule="upgrade", EventBusName=bus, Targets=targets)
        # The messages so far, by queue.
        self.heard = {name: [] for name in self.queues}

    def messages(self, name, order_id):
        """All messages of a queue that are about an order."""
        url, _ = self.queues[name]
        for message in aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            aws("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self.heard[name].append(json.loads(message["Body"]))
        return [each for each in self.heard[name] if each.get("detail", each)["order_id"] == order_id]


class Order:
    """An order that is to end in a status."""

    def __init__(self, found, observer, order_id, status):
        self.order_id, self.status, self.observer = order_id, status, observer
        self.order = example(order_id=order_id)
        self.execution = Orders(found).place(self.order)
        asked = until(lambda: observer.messages("restaurant", order_id), f"message about {order_id} to its restaurant")
        self.token = asked[0]["task_token"]

    def row(self, found):
        """Its row in the table of open orders, or None."""
        return Orders(found).row(self.order)

    def answer(self, found):
        Orders(found).answer(self.token, ANSWERS[self.status])

    def check(self, found):
        """Checks that it ended as its restaurant answered, and that everybody was told."""
        end = Orders(found).end(self.execution)
        if end["status"] != "SUCCEEDED":
            raise StackError(f"{self.order_id} has no outcome: {end.get('error')}, {end.get('cause')}")
        item = Orders(found).item(self.order_id)
        self.expect("in the table of orders", item["status"]["S"], self.status)
        self.expect("in the output", json.loads(end["output"])["status"], self.status)

        def event():
            all_events = self.observer.messages("events", self.order_id)
            return [each for each in all_events if each["detail-type"] != "ORDER_PLACED"]

        until(event, f"event of the end of {self.order_id}")
        until(lambda: self.observer.messages("customer", self.order_id), f"message to the customer of {self.order_id}")
        self.expect("in the event", {each["detail-type"] for each in event()}, {f"ORDER_{self.status}"})
        told = {each["status"] for each in self.observer.messages("customer", self.order_id)}
        self.expect("in the customer's message", told, {self.status})
        asked = len(self.observer.messages("restaurant", self.order_id))
        self.expect("as the number of times that the restaurant was asked", asked, 1)

    def expect(self, where, seen, expected):
        if seen != expected:
            raise StackError(f"{self.order_id} has {seen} {where}, and not {expected}")


def upgrade(commit, earlier):
    """Gives what the upgraded stack has, and who hears of its orders."""
    deploy(earlier)
    found = outputs()
    observer = Observer(found)
    waiting = [Order(found, observer, f"ord-before-{status.lower()}", status) for status in ANSWERS]
    for order in waiting:
        until(lambda order=order: order.row(found), f"row of {order.order_id} in the table of open orders")

    deploy()
    found = outputs()
    shown = [order.order_id for order in waiting if order.row(found)]
    if len(shown) != len(waiting):
        raise StackError(f"Of the orders that wait, the table of open orders has {shown} only")
    for order in waiting:
        order.answer(found)
    after = [Order(found, observer, f"ord-after-{status.lower()}", status) for status in ANSWERS]
    for order in after:
        until(lambda order=order: order.row(found), f"row of {order.order_id} in the table of open orders")
        order.answer(found)
    for order in waiting + after:
        order.check(found)
        until(lambda order=order: "task_token" not in (order.row(found) or {}), f"closed row of {order.order_id}")
    say(f"{len(waiting)} orders that waited during the upgrade from {commit} and {len(after)} after it ended as answered")
    return found, observer


def mend(found, observer):
    """A fault in a function stops an order; once a deployment has mended it, a redrive brings the order to its outcome."""
    # Beside the build, since the paths in its template are relative.
    faulty = BUILD.parent / "faulty"
    shutil.copytree(BUILD, faulty)
    try:
        # The wrong code, which starts with the settings of update-status and refuses what the state machine sends.
        shutil.copy(BUILD / "SaveOrderFunction" / "bootstrap", faulty / "UpdateStatusFunction" / "bootstrap")
        deploy(faulty)
    finally:
        shutil.rmtree(faulty)
    order = Order(found, observer, "ord-stopped", "ACCEPTED")
    order.answer(found)
    end = Orders(found).end(order.execution)
    order.expect("as the end of its execution", (end["status"], end.get("error")), ("FAILED", "Misconfigured"))
    deploy()
    order.execution = redrive(found, order, "Update order status")
    order.check(found)
    say("A fault in update-status stopped an order. Mended and redriven, it ended as answered")


def redrive(found, order, step):
    """Does what `redrive-execution` does on AWS, which the local AWS lacks: runs the failed step again, and the steps after it,
    with the input of the step, in the name of the execution. Gives the execution that did it."""
    states = aws("stepfunctions")
    events = states.get_execution_history(executionArn=order.execution)["events"]
    entered = [each["stateEnteredEventDetails"] for each in events if "stateEnteredEventDetails" in each]
    order.expect("as the step that failed", entered[-1]["name"], step)
    replies = [json.loads(each["taskSucceededEventDetails"]["output"]) for each in events if each["type"] == "TaskSucceeded"]
    variables = {
        "order_id": order.order_id,
        **replies[0]["Payload"],
        "status": order.status,
        "asked_at": None,
        "answered_at": None,
    }
    deployed = states.describe_state_machine(stateMachineArn=found["StateMachineArn"])
    definition = json.loads(deployed["definition"].replace("$states.context.Execution.Id", f"'{order.execution}'"))
    resume = {"Type": "Pass", "Assign": variables, "Output": json.loads(entered[-1]["input"]), "Next": step}
    definition |= {"StartAt": "Resume", "States": definition["States"] | {"Resume": resume}}
    machine = states.create_state_machine(name="resume", roleArn=deployed["roleArn"], definition=json.dumps(definition))
    return Orders(found).place(order.order, machine["stateMachineArn"])


def main():
    commit = sys.argv[1]
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    local = LocalAws(temporary_name())
    with built(commit) as earlier:
        try:
            local.start(None)
            local.use()
            found, observer = upgrade(commit, earlier)
            mend(found, observer)
        finally:
            local.remove()


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
