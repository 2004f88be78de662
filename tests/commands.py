"""Runs the commands of a page as they stand there, on the stack that `stack.py run` deployed."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import Orders, example
from stack import ROOT, STACK_NAME, StackError, outputs, say, target

# What a command prints that found nothing.
NOTHING = {
    *("", "[]", "{}", "null", "None"),
    *("No dead letters.", "Nothing was logged in 2 hours."),
    *("No request was logged.", "No order waits.", "No such order."),
}


class Shell:
    """One long session: a command gets the variables that those before it set."""

    folder = ROOT

    def __init__(self, environment):
        self.environment = environment

    def shell(self, command):
        with tempfile.NamedTemporaryFile("r") as variables:
            script = f"set -a -e -u -o pipefail; trap 'env -0 >{variables.name}' EXIT; {command}"
            done = subprocess.run(
                ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
            )
            if left := variables.read():
                self.environment = dict(pair.split("=", 1) for pair in left.split("\0") if pair)
        return done


class Page(Shell):
    """A page whose commands are run in their order. A command must succeed and print something."""

    path = None
    # Commands that are not run, by how they begin, and why.
    not_run = {}
    # Commands that print nothing when all went well.
    silent = ()

    def __init__(self, environment=None):
        # Those of the stack that runs, but for a page that starts one itself.
        self.outputs = {} if environment else outputs()
        self.orders = Orders(self.outputs)
        super().__init__(environment or os.environ | self.outputs | {"STACK": STACK_NAME})
        self.environment["PATH"] = f"{target() / 'debug'}{os.pathsep}{self.environment['PATH']}"
        # Each order that was placed, by its id.
        self.placed = {}

    def check(self):
        unused = set(self.not_run)
        section = None
        for heading, line, command in commands(self.path):
            if heading != section:
                section = heading
                self.prepare(section)
            if reason := next((begin for begin in self.not_run if f"{command}\n".startswith(begin)), None):
                unused.discard(reason)
                say(f"{self.path.name}:{line}, not run, since {self.not_run[reason]}: {command.splitlines()[0]}")
            else:
                self.before(section, command)
                self.verify(section, line, command, self.run(line, command))
        if unused:
            raise StackError(f"{self.path.name} has no such commands any more, take them out of not_run: {sorted(unused)}")
        self.after()
        say(f"Every command of {self.path.name} was run, but for those above")

    def prepare(self, section):
        """Makes what the commands of a section are for."""

    def before(self, section, command):
        """The same for one command."""

    def verify(self, section, line, command, printed):
        """Whether a command did what the page says."""

    def after(self):
        """Whether all of them together did."""

    def run(self, line, command):
        done = self.shell(command)
        silent = any(command.startswith(begin) for begin in self.silent) or re.match(r"[A-Z_]+=\S", command)
        printed = done.stdout.strip()
        if done.returncode != 0:
            failed = f"failed with {done.returncode}"
        elif not silent and printed in NOTHING:
            failed = "found nothing"
        elif '"FunctionError"' in printed:
            failed = "invoked a function, which failed"
        else:
            return printed
        raise StackError(f"{self.path}:{line}: this {failed}:\n{command}\nIt printed:\n{done.stdout}{done.stderr}")

    def require(self, true, line, command, what):
        if not true:
            raise StackError(f"{self.path}:{line}: {what}, after:\n{command}")

    def order(self, order_id):
        self.environment |= {"ORDER": order_id, "EXECUTION_ARN": self.execution(order_id)}

    def place(self, order_id, **changes):
        self.placed[order_id] = example(order_id=order_id, **changes)
        self.orders.place(self.placed[order_id])
        return order_id

    def token(self, order_id):
        return self.orders.token(self.placed[order_id])

    def link(self, kind, name):
        made = self.shell(f"orderctl --output json link {kind} {name}")
        if made.returncode != 0:
            raise StackError(f"orderctl made no link: {made.stderr}")
        return json.loads(made.stdout)["url"]

    def require_status(self, order_id, status, line, command):
        """Whether an order has this status at the end."""
        found = json.loads(self.orders.end(self.execution(order_id))["output"])["status"]
        self.require(found == status, line, command, f"{order_id} is {found}, not {status}")

    def execution(self, order_id):
        return f"{self.outputs['StateMachineArn'].replace(':stateMachine:', ':execution:')}:{order_id}"


def commands(page):
    """The commands in a page's bash blocks, and those after a `$` beside what they print, each with its section and line. A
    command is as many lines as bash needs."""
    heading, block, shown, begun, command = None, False, False, 0, ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("```"):
            if command:
                raise StackError(f"{page}:{begun}: this is no whole command:\n{command}")
            block, shown = line == "```bash", line == "```"
        elif shown and line.startswith("$ "):
            yield heading, number, line.removeprefix("$ ")
        elif not block and re.match("#+ ", line):
            heading = line.lstrip("# ")
        elif block and (command or (line.strip() and not line.startswith("#"))):
            begun = begun if command else number
            command += f"\n{line}" if command else line
            parsed = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
            if parsed.returncode == 0 and not command.endswith(("\\", "|")):
                yield heading, begun, command
                command = ""
