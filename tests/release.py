#!/usr/bin/env python3
"""A deployment while an order waits for its restaurant: the old order ends on the code that it began with, a new one on
the new code.

The new code is the old `notify-user` with a byte more at its end, which changes what it is and not what it does. Which
code served an order is in the function's log: each line names its version.
"""

import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from stack import (
    ROOT,
    STACK_NAME,
    STATE,
    StackError,
    architecture,
    aws_cli,
    environment_for,
    outputs,
    run_step,
    say,
    temporary_stack,
)

WAIT_SECONDS = 60


class Stack:
    def __init__(self, port):
        self.port = port
        self.outputs = outputs(port)

    def aws(self, *arguments):
        return aws_cli(self.port, *arguments)

    def place(self, order_id):
        order = json.loads((ROOT / "events" / "accepted.json").read_text()) | {"order_id": order_id}
        machine = self.outputs["StateMachineArn"]
        start = ["stepfunctions", "start-execution", "--state-machine-arn", machine, "--name", order_id]
        execution = self.aws(*start, "--input", json.dumps(order))["executionArn"]
        inbox = ["sqs", "receive-message", "--queue-url", self.outputs["RestaurantInboxUrl"], "--wait-time-seconds", "5"]
        for message in until(lambda: self.aws(*inbox).get("Messages"), f"{order_id} in the restaurant inbox"):
            body = json.loads(message["Body"])
            if body["order_id"] == order_id:
                return execution, body["task_token"]
        raise StackError(f"The restaurant inbox holds another order than {order_id}")

    def accept(self, execution, token):
        answer = ["--task-output", json.dumps({"isAccepted": True})]
        self.aws("stepfunctions", "send-task-success", "--task-token", token, *answer)

        def ended():
            found = self.aws("stepfunctions", "describe-execution", "--execution-arn", execution)
            return found if found["status"] != "RUNNING" else None

        return until(ended, f"the end of {execution}")["status"]

    def served_by(self, order_id):
        """The version of notify-user that told the customer of an order."""
        events = ["logs", "filter-log-events", "--log-group-name", f"/aws/lambda/{STACK_NAME}/notify-user"]

        def version():
            for event in self.aws(*events)["events"]:
                if event["message"].startswith("{"):
                    line = json.loads(event["message"])
                    if line.get("order_id") == order_id:
                        return line["version"]
            return None

        return until(version, f"the log line of {order_id}")


def until(look, what):
    """Looks until there is something, for some seconds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise StackError(f"There was no {what} within {WAIT_SECONDS} s")


def deploy_changed(stack):
    """Deploys the built stack again with a changed notify-user."""
    # Beside the build: its template names files by paths from there.
    build = ROOT / ".aws-sam" / "changed"
    shutil.copytree(ROOT / ".aws-sam" / "build", build, dirs_exist_ok=True)
    try:
        with (build / "NotifyUserFunction" / "bootstrap").open("ab") as bootstrap:
            bootstrap.write(b"\0")
        run_step(
            "Deploying a changed notify-user while the order waits",
            ["sam", "deploy", "--config-file", ROOT / "samconfig.toml", "--config-env", "local"]
            + ["--template-file", build / "template.yaml"]
            + ["--parameter-overrides", f"Architecture={architecture()}", "LocalAws=true"],
            environment_for(stack.port),
            STATE / "sam-deploy.log",
        )
    finally:
        shutil.rmtree(build)


def main():
    with temporary_stack() as port:
        stack = Stack(port)
        old, old_token = stack.place("ord-old")
        deploy_changed(stack)
        new, new_token = stack.place("ord-new")
        ends = {"ord-old": stack.accept(old, old_token), "ord-new": stack.accept(new, new_token)}
        versions = {order_id: stack.served_by(order_id) for order_id in ends}
    for order_id, status in ends.items():
        say(f"{order_id}: {status}, its customer was told by version {versions[order_id]} of notify-user")
    if set(ends.values()) != {"SUCCEEDED"}:
        raise StackError("A deployment kept an order from its outcome")
    if not versions["ord-old"].isdigit() or versions["ord-old"] == versions["ord-new"]:
        raise StackError("The old and the new order did not each end on its own code")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
