#!/usr/bin/env python3
"""Deploys while orders wait for their restaurants: an order ends on the versions that it began with, and the next order
gets the changed ones.

Which version of a function served an order is in the function's log: each line names it. A deployment may carry several
changes, since each is of another function, or of another function's settings:

- the first one changes the code of `notify-user`, a variable of `update-status` and the timeout of `save-order`;
- the second one replaces the role of `notify-user`, changes a parameter that `update-status` and `save-order` know, and raises the
  link epoch, which invalidates all links to the pages.

The changed code is the old code and one byte at its end: another file that does the same. The local AWS enforces IAM
here, so an order in flight needs the replaced role to end.
"""

import json
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
import web
from orders import Orders, example
from stack import (
    BUILD,
    FUNCTIONS,
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


class WaitingOrder:
    """An order that waits for its restaurant."""

    def __init__(self, orders, order_id):
        self.orders, self.order_id = orders, order_id
        order = example(order_id=order_id)
        self.execution = orders.place(order)
        self.token = orders.token(order)

    def accept(self):
        """Accepts it; gives the version of each function of the workflow that served it."""
        self.orders.answer(self.token, {"isAccepted": True})
        end = self.orders.end(self.execution)
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
    """A copy of what was built, to change. It is beside the build, since the paths in its template are relative."""
    build = BUILD.parent / "changed"
    # A deployment at the same time may have temporary files there.
    shutil.copytree(BUILD, build, dirs_exist_ok=True, ignore=shutil.ignore_patterns("local*.yaml"))
    try:
        yield build
    finally:
        shutil.rmtree(build)


def deploy_changed(build, change, *parameters):
    """Changes the resources of the copied template, and deploys it."""
    template = read_template(build / "template.yaml")
    change(template["Resources"])
    write_template(build / "template.yaml", template)
    deploy(port_in_use(), build, *parameters)


def change_variable_and_timeout(resources):
    resources["UpdateStatusFunction"]["Properties"]["Environment"]["Variables"]["CHANGED"] = "yes"
    resources["SaveOrderFunction"]["Properties"]["Timeout"] = 11


def replace_role(resources):
    # A role's path cannot change: CloudFormation replaces the role.
    resources["NotifyUserFunctionRole"]["Properties"]["Path"] = "/changed/"


def expect(changes, old, new):
    """Checks that each change of a deployment gave its function a new version: the old one served the order before the
    deployment, whenever that ended, and the new one the order after it."""
    for name, change in changes.items():
        say(f"{change} of {name}: the order before was served by version {old[name]}, the order after by {new[name]}")
        if not (old[name].isdigit() and new[name].isdigit() and int(old[name]) < int(new[name])):
            raise StackError(
                f"{change} of {name} should reach the next order and no order before it, but version {old[name]}"
                f" served the order before and version {new[name]} the order after"
            )


def expect_pages(link, expected, when):
    """Looks at a link, and checks how it is answered."""
    status = web.status(link)
    say(f"A link {when} is answered {status}")
    if status != expected:
        raise StackError(f"A link {when} should be answered {expected}")


def new_link():
    return web.link(outputs(port_in_use()), "restaurant", "rest-7")


def main():
    with copy_of_the_build() as build:
        orders = Orders(outputs(port_in_use()))
        link = new_link()
        expect_pages(link, 200, "before a deployment")
        first = WaitingOrder(orders, "ord-first")
        with (build / "NotifyUserFunction" / "bootstrap").open("ab") as bootstrap:
            bootstrap.write(b"\0")
        deploy_changed(build, change_variable_and_timeout)
        second = WaitingOrder(orders, "ord-second")
        deploy_changed(build, replace_role, "OrderRetentionDays=30", "LinkEpoch=2")
        expect_pages(link, 403, "made before LinkEpoch=2")
        expect_pages(new_link(), 200, "made after LinkEpoch=2")
        third = WaitingOrder(orders, "ord-third")
        first, second, third = (order.accept() for order in (first, second, third))
    expect({"save-order": "A changed timeout", "update-status": "A changed variable", "notify-user": "Changed code"}, first, second)
    parameter = "A changed parameter"
    expect({"save-order": parameter, "update-status": parameter, "notify-user": "A replaced role"}, second, third)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
