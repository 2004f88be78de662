#!/usr/bin/env python3
"""Goes through the front door: runs the commands of README.md as they stand there, from `make up` to `make down`. Then it changes
a line and undoes it, by `make deploy`, and looks each time at what an order meets.

It does so in a copy of this working copy, whose path has a space and whose builds Cargo puts elsewhere, as somebody's may.
"""

import os
import shutil
import subprocess
import sys
import time
from http.client import HTTPConnection

from commands import Page

from orders import Orders, example
from stack import ROOT, STACK_NAME, STATE, StackError, aws, free_port, say, target, tools

COPY = STATE / "a copy"
# A text of the rules, of which every function is compiled, and how to change it.
RULES, WAS, BECOMES = "crates/order/src/validation.rs", "such as EUR", "such as CHF"
# A line that only SAM can bring to the stack.
TEMPLATE, TIMEOUT, LONGER = "template.yaml", "    Timeout: 10\n", "    Timeout: 11\n"


def copy():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            # With its time: the tools are newer than what names them, and need no second installation.
            shutil.copy2(ROOT / name, COPY / name)
    (COPY / ".local").mkdir()
    (COPY / ".local" / "venv").symlink_to(STATE / "venv")


class Readme(Page):
    path = ROOT / "README.md"
    folder = COPY
    not_run = {
        "make demo": "`.ci/run` runs it",
        "make test": "this is a part of it",
        "unset AWS_ENDPOINT_URL": "run at the end",
        "make orderctl": "built before, as this does",
        "make web": "tests/browser.py opens its pages",
        "make deploy": "run below",
        "sam build && sam deploy": "tests/lifetime.py deploys by SAM",
    }
    silent = ('eval "$(make -s', '[ "$TASK_TOKEN"', "aws stepfunctions send-task")

    def __init__(self):
        environment = tools() | {"CARGO_TARGET_DIR": str(target()), "PORT": str(free_port())}
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "AWS_ENDPOINT_URL"):
            environment.pop(name, None)
        super().__init__(environment)

    def before(self, section, command):
        if command.startswith("orderctl inbox"):
            self.orders.token(example("counter"))
        # Only the first answer counts, so that each of the others gets an order of its own.
        for mark, order_id in (('"isAccepted": false', "ord-declined"), ("send-task-failure", "ord-failed")):
            if mark in command:
                self.place(order_id)
                self.environment["TASK_TOKEN"] = self.token(order_id)

    def verify(self, section, line, command, printed):
        if command.startswith('eval "$(make -s up)"'):
            os.environ |= {name: self.environment[name] for name in self.environment if name.startswith("AWS_")}
            self.outputs = {name: value for name, value in self.environment.items() if name[0].isupper() and name[1].islower()}
            self.orders = Orders(self.outputs)
        if command.startswith('eval "$(make -s env)"'):
            found = {name: self.environment.get(name) for name in self.outputs}
            self.require(found == self.outputs, line, command, f"other variables than those of `make up`: {found}")
        for mark, order_id, status in (
            ('"isAccepted": true', "ord-1001", "ACCEPTED"),
            ('"isAccepted": false', "ord-declined", "REJECTED"),
            ("send-task-failure", "ord-failed", "FAILED"),
            ("orderctl accept", "ord-2001", "ACCEPTED"),
        ):
            if mark in command:
                self.require_status(order_id, status, line, command)
        if command.startswith("orderctl show"):
            self.require("ACCEPTED" in printed and "Notify user" in printed, line, command, f"it prints {printed}")

    def make(self, what):
        begun = time.monotonic()
        done = self.shell(f"make -s {what}")
        if done.returncode:
            raise StackError(f"`make {what}` failed:\n{done.stdout}{done.stderr}")
        say(f"`make {what}` took {time.monotonic() - begun:.0f} s")


def change(name, old, new):
    text = (COPY / name).read_text()
    if text.count(old) != 1:
        raise StackError(f"{name} has {old!r} {text.count(old)} times")
    (COPY / name).write_text(text.replace(old, new))


def expect(readme, says, seconds, when):
    """Looks at why an order is refused, and at how long a function may take."""
    orders = readme.orders
    order = example(order_id=f"ord-{time.time_ns()}", currency="EURO")
    cause = orders.end(orders.place(order))["cause"]
    if says not in cause:
        raise StackError(f"{when}, an order is refused with {cause!r}, and not with {says!r}")
    timeouts = {each["FunctionName"]: each["Timeout"] for each in aws("lambda").list_functions()["Functions"]}
    if not any("SaveOrder" in name and timeout == seconds for name, timeout in timeouts.items()):
        raise StackError(f"{when}, {timeouts} has another timeout than {seconds}")
    say(f"{when}, an order is refused with {says!r}")


def by_sam():
    """How much SAM has done to the stack so far."""
    return len(aws("cloudformation").describe_stack_events(StackName=STACK_NAME)["StackEvents"])


def main():
    shutil.rmtree(COPY, ignore_errors=True)
    copy()
    readme = Readme()
    try:
        readme.check()
        expect(readme, WAS, 10, "At first")
        done_by_sam = by_sam()
        change(RULES, WAS, BECOMES)
        readme.make("deploy")
        if by_sam() != done_by_sam:
            raise StackError("SAM deployed the stack although only a function's code was changed")
        expect(readme, BECOMES, 10, "After a changed line")
        # SAM has deployed the code with the old line before, and so does not see that the function has another one now.
        change(RULES, BECOMES, WAS)
        change(TEMPLATE, TIMEOUT, LONGER)
        readme.make("deploy")
        if by_sam() == done_by_sam:
            raise StackError("SAM did not deploy the stack although the template was changed")
        expect(readme, WAS, 11, "After the change was undone")
    finally:
        readme.make("down")
        shutil.rmtree(COPY)
    try:
        HTTPConnection("127.0.0.1", int(readme.environment["PORT"]), timeout=5).connect()
    except ConnectionRefusedError:
        return
    raise StackError("The local AWS still listens after `make down`")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
