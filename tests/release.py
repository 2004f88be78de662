#!/usr/bin/env python3
"""Deployments while orders wait for their restaurants: an order ends on what it began with, and the next one gets what
changed.

Which version of a function served an order is in the function's log: each line names it. A deployment may carry several
changes, since each is of another function, or of another function's settings:

- the first one changes the code of `notify-user`, a variable of `update-status` and the timeout of `save-order`;
- the second one replaces the role of `notify-user`, and changes a parameter that `update-status` and `save-order` know.

Changed code is the old code with a byte more at its end, which changes what it is and not what it does. The local AWS
enforces IAM here: an order in flight could not end without the role that was replaced.
"""

import json
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from stack import (
    BUILD,
    FUNCTIONS,
    ROOT,
    STACK_NAME,
    StackError,
    aws,
    deploy,
    outputs,
    port_in_use,
    read_template,
    say,
    until,
    write_template,
)


class Stack:
    def __init__(self, port):
        self.port = port
        self.outputs = outputs(port)

    def place(self, order_id):
        order = json.loads((ROOT / "events" / "accepted.json").read_text()) | {"order_id": order_id}
        machine = self.outputs["StateMachineArn"]
        started = aws("stepfunctions").start_execution(stateMachineArn=machine, name=order_id, input=json.dumps(order))
        key = {name: {"S": order[name]} for name in ("restaurant_id", "order_id")}

        def token():
            found = aws("dynamodb").get_item(TableName=self.outputs["OpenOrdersTableName"], Key=key)
            return found.get("Item", {}).get("task_token", {}).get("S")

        token = until(token, f"task token of {order_id} in the table of open orders")
        return Order(order_id, started["executionArn"], token)


class Order:
    """An order that waits for its restaurant."""

    def __init__(self, order_id, execution, token):
        self.order_id, self.execution, self.token = order_id, execution, token

    def accept(self):
        """Gives the versions of the workflow's functions that served it, by function."""
        aws("stepfunctions").send_task_success(taskToken=self.token, output=json.dumps({"isAccepted": True}))

        def ended():
            found = aws("stepfunctions").describe_execution(executionArn=self.execution)
            return found if found["status"] != "RUNNING" else None

        end = until(ended, f"the end of {self.order_id}")
        if end["status"] != "SUCCEEDED":
            raise StackError(f"A deployment kept {self.order_id} from its outcome: {end.get('error')}, {end.get('cause')}")
        return {name: self.served_by(name) for name in FUNCTIONS if name != "open-orders"}

    def served_by(self, function):
        group = f"/aws/lambda/{STACK_NAME}/{function}"

        def version():
            for event in aws("logs").filter_log_events(logGroupName=group, filterPattern=f'"{self.order_id}"')["events"]:
                if event["message"].startswith("{"):
                    line = json.loads(event["message"])
                    if line.get("order_id") == self.order_id:
                        return line["version"]
            return None

        return until(version, f"the line of {self.order_id} in the log of {function}")


@contextmanager
def copy_of_the_build():
    """A copy of what was built, to change. It is beside the build: its template names files by paths from there."""
    build = BUILD.parent / "changed"
    shutil.copytree(BUILD, build, dirs_exist_ok=True)
    try:
        yield build
    finally:
        shutil.rmtree(build)


def deploy_changed(stack, build, change, *parameters):
    """Changes the resources of the copied template, and deploys it."""
    template = read_template(build / "template.yaml")
    change(template["Resources"])
    write_template(build / "template.yaml", template)
    deploy(stack.port, build, *parameters)


def change_variable_and_timeout(resources):
    resources["UpdateStatusFunction"]["Properties"]["Environment"]["Variables"]["CHANGED"] = "yes"
    resources["SaveOrderFunction"]["Properties"]["Timeout"] = 11


def replace_role(resources):
    # Nobody can change the path of a role: CloudFormation makes another role.
    resources["NotifyUserFunctionRole"]["Properties"]["Path"] = "/changed/"


def expect(changes, old, new):
    """That in a deployment every function got a new version by its change: the order before it was served by the old
    version whenever it ended, the order after it by the new one."""
    for name, change in changes.items():
        say(f"{change} of {name}: the order before was served by version {old[name]}, the order after by {new[name]}")
        if not (old[name].isdigit() and new[name].isdigit() and int(old[name]) < int(new[name])):
            raise StackError(
                f"{change} of {name} should reach the next order and no order before it, but version {old[name]}"
                f" served the order before and version {new[name]} the order after"
            )


def main():
    with copy_of_the_build() as build:
        stack = Stack(port_in_use())
        first = stack.place("ord-first")
        with (build / "NotifyUserFunction" / "bootstrap").open("ab") as bootstrap:
            bootstrap.write(b"\0")
        deploy_changed(stack, build, change_variable_and_timeout)
        second = stack.place("ord-second")
        deploy_changed(stack, build, replace_role, "OrderRetentionDays=30")
        third = stack.place("ord-third")
        first, second, third = (order.accept() for order in (first, second, third))
    expect({"save-order": "A changed timeout", "update-status": "A changed variable", "notify-user": "Changed code"}, first, second)
    parameter = "A changed parameter"
    expect({"save-order": parameter, "update-status": parameter, "notify-user": "A replaced role"}, second, third)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
