#!/usr/bin/env python3
"""Changes a line and undoes it, by `make up` and `make deploy`, and looks each time at what an order meets.

It does so in a copy of this working copy, whose path has a space and whose builds Cargo puts elsewhere, as somebody's may.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
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


def make(*arguments):
    """Runs make as in a new shell, and takes the variables that it prints."""
    environment = tools() | {"CARGO_TARGET_DIR": str(target())}
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        environment.pop(name, None)
    begun = time.monotonic()
    done = subprocess.run(["make", "-s", *arguments], cwd=COPY, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StackError(f"`make {' '.join(arguments)}` failed, see above")
    say(f"`make {' '.join(arguments)}` took {time.monotonic() - begun:.0f} s")
    for line in done.stdout.splitlines():
        name, _, value = shlex.split(line.removeprefix("export "))[0].partition("=")
        os.environ[name] = os.path.expandvars(value)


def change(name, old, new):
    text = (COPY / name).read_text()
    if text.count(old) != 1:
        raise StackError(f"{name} has {old!r} {text.count(old)} times")
    (COPY / name).write_text(text.replace(old, new))


def expect(says, seconds, when):
    """Looks at why an order is refused, and at how long a function may take."""
    orders = Orders(os.environ)
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
    try:
        make("up", f"PORT={free_port()}")
        expect(WAS, 10, "At first")
        done_by_sam = by_sam()
        change(RULES, WAS, BECOMES)
        make("deploy")
        if by_sam() != done_by_sam:
            raise StackError("SAM deployed the stack although only a function's code was changed")
        expect(BECOMES, 10, "After a changed line")
        # SAM has deployed the code with the old line before, and so does not see that the function has another one now.
        change(RULES, BECOMES, WAS)
        change(TEMPLATE, TIMEOUT, LONGER)
        make("deploy")
        if by_sam() == done_by_sam:
            raise StackError("SAM did not deploy the stack although the template was changed")
        expect(WAS, 11, "After the change was undone")
    finally:
        make("down")
        shutil.rmtree(COPY)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
