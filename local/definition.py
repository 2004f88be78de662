#!/usr/bin/env python3
"""Draws the flow in README.md from the definition, and checks of the definition what its validator does not.

Without arguments: redraws the picture. With --check: changes nothing, and fails if a check fails or the picture is old.
"""

import json
import re
import subprocess
import sys

from stack import ROOT, STATE, VENV_BIN

DEFINITION = ROOT / "statemachine" / "order.asl.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- flow: drawn by local/definition.py -->\n", "<!-- end of flow -->"


def transitions(states):
    """(from, to, label) of every transition; the target None is the end of the execution."""
    for name, state in states.items():
        if state["Type"] == "Choice":
            for number, rule in enumerate(state["Choices"], 1):
                yield name, rule["Next"], rule.get("Assign", {}).get("status", f"rule {number}")
            if "Default" in state:
                yield name, state["Default"], "otherwise"
        else:
            yield name, state.get("Next"), ""
        for catcher in state.get("Catch", []):
            yield name, catcher["Next"], "no answer" if "States.Timeout" in catcher["ErrorEquals"] else "failure"


def picture(definition):
    """A Mermaid flowchart, which GitHub shows as a picture."""
    states = definition["States"]
    ids = {name: f"s{index}" for index, name in enumerate(states)}
    lines = ["```mermaid", "flowchart TD", f"  start([order]) --> {ids[definition['StartAt']]}"]
    for name, state in states.items():
        shape = '{{"%s"}}' if state["Type"] == "Choice" else '["%s<br/><small>%s</small>"]'
        function = state.get("Arguments", {}).get("FunctionName", "").strip("${}")
        does = function or state.get("Resource", "").removeprefix("arn:aws:states:::")
        wait = f", {state['TimeoutSeconds']} s" if does.endswith("waitForTaskToken") else ""
        text = name if state["Type"] == "Choice" else (name, does + wait)
        lines.append(f"  {ids[name]}{shape % text}")
    for source, target, label in transitions(states):
        arrow = f"-- {label} -->" if label else "-->"
        lines.append(f"  {ids[source]} {arrow} {ids[target] if target else 'finish([done])'}")
    return "\n".join([*lines, "```", ""])


def with_picture(readme, definition):
    before, rest = readme.split(BEGIN, 1)
    return before + BEGIN + picture(definition) + END + rest.split(END, 1)[1]


def problems(definition):
    """What is wrong with the definition and no validator notices."""
    text = DEFINITION.read_text()
    template = (ROOT / "template.yaml").read_text()
    used = set(re.findall(r"\$\{(\w+)\}", text))
    block = re.search(r"DefinitionSubstitutions:\n((?:\s{8}\w+:.*\n)+)", template)
    given = set(re.findall(r"^\s{8}(\w+):", block.group(1), re.M)) if block else set()
    for name in sorted(used ^ given):
        where = "the definition uses it, template.yaml does not give it" if name in used else "nothing uses it"
        yield f"substitution {name}: {where}"

    notify = definition["States"]["Notify restaurant"]
    if list(notify["Arguments"].get("MessageAttributes", {})) != ["restaurant_id"]:
        yield "Notify restaurant: restaurants filter by the message attribute restaurant_id"

    for name, state in definition["States"].items():
        if state["Type"] == "Task":
            for needed in ("TimeoutSeconds", "Retry", "Comment"):
                if needed not in state:
                    yield f"{name}: a task needs {needed}"
            for retrier in state.get("Retry", []):
                if retrier.get("JitterStrategy") != "FULL" or "MaxAttempts" not in retrier:
                    yield f"{name}: a retrier needs JitterStrategy FULL and MaxAttempts"


def main():
    check = sys.argv[1:] == ["--check"]
    definition = json.loads(DEFINITION.read_text())
    found = []
    if check:
        validator = STATE / "node_modules" / ".bin" / "asl-validator"
        if subprocess.run([validator, "--json-path", DEFINITION], check=False).returncode != 0:
            found.append("the definition is not valid, see above")
        found += problems(definition)
        node = [VENV_BIN / "node", ROOT / "tests" / "expressions.mjs"]
        if subprocess.run(node, check=False).returncode != 0:
            found.append("an expression does not give what it must, see above")
    readme = README.read_text()
    drawn = with_picture(readme, definition)
    if check and readme != drawn:
        found.append("README.md does not show the flow as it is: run `.local/venv/bin/python local/definition.py`")
    elif readme != drawn:
        README.write_text(drawn)
    for problem in found:
        print(f"statemachine/order.asl.json: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
