#!/usr/bin/env python3
"""Changes the definition and each value of the templates, one thing at a time, and looks whether a check or a test fails.

Each change is a mistake that somebody could make: a retry name forgotten, a rule the other way round, a permission that is
missing or too wide. A change that nothing notices is a survivor: it needs a test of behavior, or a reason in LISTED.

The checks that need no stack come first, each change in a copy of the files. What passes them is deployed from this working
copy to a local AWS that enforces IAM, and all end-to-end tests run on it; the file is put back after each change.

Run it by `make mutants-definition`. The variable MUTANTS limits it to the changes whose name contains this text, TESTS to the
end-to-end tests whose names contain one of these words. With `--list` it only names the changes, with `--cheap` it stops after
the checks that need no stack.
"""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
import definition
from stack import ROOT, STATE, VENV_BIN, StackError, build, deploy, run_tests, say

DEFINITION = "statemachine/order.asl.json"
# The stack's, and that of its pages.
TEMPLATES = ("template.yaml", "web/template.yaml")
COPIES = STATE / "mutants"
SURVIVORS = STATE / "mutants-definition.json"

# Changes that no test can notice, by a pattern of their names, and why.
LISTED = {
    r"^Restaurant decision / Choices / [12]: before": "no answer matches two of the first three rules, so their order says nothing",
    r" / Sid: (removed|Other)$": "the name of a statement, which nothing reads",
    r" / (PolicyName|Targets / 0 / Id): Other$": "a name that CloudFormation wants and nothing reads",
    r" / ConstraintDescription: (removed|Other)$": "words for people, which CloudFormation shows instead of the pattern",
}


# The definition.


def definition_mutants():
    """Every change of the definition: its name and the changed text."""
    original = json.loads((ROOT / DEFINITION).read_text())

    def changed(path, change):
        mutant = copy.deepcopy(original)
        *way, last = path
        at = mutant
        for key in way:
            at = at[key]
        change(at, last)
        return json.dumps(mutant, indent=2, ensure_ascii=False) + "\n"

    def remove(at, key):
        del at[key]

    def put(value):
        def change(at, key):
            at[key] = value

        return change

    for name, state in original["States"].items():
        for path, value in leaves(state, ("States", name)):
            where = " / ".join(map(str, path[1:]))
            fields = {field for field in path[2:] if isinstance(field, str)}
            # A comment does nothing. With another type, resource or language it is another state, which hardly anybody writes by
            # mistake.
            if fields & {"Comment", "Type", "Resource", "QueryLanguage"}:
                continue
            yield f"{where}{f' {value}' if 'ErrorEquals' in path else ''}: removed", changed(path, remove)
            if "ErrorEquals" in path:
                continue
            if path[-1] in ("Next", "End"):
                for other in original["States"]:
                    if other not in (name, value):
                        yield f"{where}: {other}", changed(path, put(other) if path[-1] == "Next" else end_as_next(other))
                        break
            elif isinstance(value, int):
                for other in (value * 2, value // 2):
                    yield f"{where}: {other}", changed(path, put(other))
            elif isinstance(value, str) and value.startswith("{%"):
                for what, other in expressions(value):
                    yield f"{where}: {what}", changed(path, put(other))
            elif isinstance(value, str):
                yield f"{where}: another text", changed(path, put("Other"))
        for field in ("Retry", "Catch", "Choices"):
            for index in range(len(state.get(field, []))):
                path = ("States", name, field, index)
                yield f"{name} / {field} / {index}: removed", changed(path, remove)
                if index:
                    yield f"{name} / {field} / {index}: before the one before it", changed(path, exchange)
                if field == "Retry" and "States.ALL" not in state[field][index]["ErrorEquals"]:
                    yield f"{name} / Retry / {index}: retries everything", changed((*path, "ErrorEquals"), put(["States.ALL"]))


def leaves(value, path):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def end_as_next(other):
    def change(at, key):
        del at[key]
        at["Next"] = other

    return change


def exchange(at, index):
    at[index - 1], at[index] = at[index], at[index - 1]


OPERATORS = [
    (r" and ", " or "),
    (r" = ", " != "),
    (r" < ", " >= "),
    (r"\$not\(", "("),
    (r"\$exists\(", "("),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"\b\d{2,}\b", "7"),
    # A member of an object, or of a list, with its comma.
    (r", '\w+': [$\w.]+(?=\})", ""),
    (r"\$\w+, ", ""),
]


def expressions(text):
    """Changes of a JSONata expression, each at one place."""
    yield "nothing", "{% null %}"
    for pattern, other in OPERATORS:
        for found in re.finditer(pattern, text):
            change = f"`{found[0].strip()}` at {found.start()} as `{other.strip()}`"
            yield change, text[: found.start()] + other + text[found.end() :]


# The templates. Their YAML nodes are changed: plain values would lose tags such as `!Ref`.

# What somebody could add to what a statement allows, and to whom.
ADDED = ["dynamodb:DeleteTable", "lambda:UpdateFunctionCode", "sns:Subscribe", "kms:Sign", "states:StartExecution"]


def template_mutants(text):
    """Every change of one value of a template: its name and the changed text."""

    def changed(path, change):
        mutant = yaml.compose(text, yaml.CSafeLoader)
        change(mutant, path)
        return yaml.serialize(mutant, Dumper=yaml.CSafeDumper, width=1000)

    root = yaml.compose(text, yaml.CSafeLoader)
    same = Alike(root)
    for section in ("Parameters", "Rules", "Conditions", "Globals", "Resources", "Outputs"):
        for path, node in nodes(at(root, [section]) or yaml.MappingNode("", []), [section]):
            where = " / ".join(map(str, path))
            # Words for people, and what lints the template.
            if "Description" in path[-1:] or "Metadata" in path:
                continue
            yield f"{where}: removed", changed(path, remove_node)
            if isinstance(node, yaml.ScalarNode):
                for what, value in others(node, same):
                    yield f"{where}: {what}", changed(path, put_node(value))
            elif node.tag == "!If":
                yield f"{where}: the other branch", changed(path, exchange_branches)
    for resource, _ in pairs(at(root, ["Resources"])):
        for index, path in enumerate(statements(at(root, ["Resources", resource]), ["Resources", resource])):
            statement = at(root, path)
            where = " / ".join(map(str, path))
            if at(statement, ["Effect"]).value == "Allow":
                for field, more in (("Action", ADDED[index % len(ADDED)]), ("Resource", "arn:aws:s3:::other")):
                    value = at(statement, [field])
                    if value is not None and value.value != "*":
                        yield f"{where} / {field}: {more} besides", changed([*path, field], add_node(more))
                for field in ("Action", "Resource"):
                    value = at(statement, [field])
                    wide = "*" if field == "Resource" else f"{getattr(value, 'value', '')}".split(":")[0] + ":*"
                    if isinstance(value, yaml.ScalarNode) and value.value not in ("*", wide):
                        yield f"{where} / {field}: {wide}", changed([*path, field], put_node(scalar(wide)))
            if at(statement, ["Principal"]) is not None and at(statement, ["Principal"]).value != "*":
                yield f"{where} / Principal: *", changed([*path, "Principal"], put_node(scalar("*")))
                for kind, more in (("AWS", "arn:aws:iam::999999999999:root"), ("Service", "ec2.amazonaws.com")):
                    yield f"{where} / Principal / {kind}: {more} besides", changed([*path, "Principal", kind], add_node(more))
            for operator, keys in pairs(at(statement, ["Condition"]) or yaml.MappingNode("", [])):
                for key, _ in pairs(keys):
                    yield f"{where} / {operator} / {key}: other besides", changed([*path, "Condition", operator, key], add_node("other"))
    for resource, node in pairs(at(root, ["Resources"])):
        where = f"Resources / {resource}"
        if at(node, ["Condition"]) is None:
            for condition, _ in pairs(at(root, ["Conditions"])):
                yield f"{where} / Condition: {condition}", changed(["Resources", resource, "Condition"], add_node(condition))
        yield f"{where}: a property besides", changed(["Resources", resource, "Properties", "Tags"], add_node("other"))
        yield f"{where}: once more", changed(["Resources", f"{resource}Besides"], add_node(node))


class Alike:
    """Another name of the same kind for a name that a template refers to."""

    def __init__(self, root):
        kinds = {}
        for name, _ in pairs(at(root, ["Parameters"])):
            kinds.setdefault("parameter", []).append(name)
        for name, resource in pairs(at(root, ["Resources"])):
            kinds.setdefault(at(resource, ["Type"]).value, []).append(name)
        for name, _ in pairs(at(root, ["Conditions"])):
            kinds.setdefault("condition", []).append(name)
        self.other = {name: names[(index + 1) % len(names)] for names in kinds.values() for index, name in enumerate(names)}

    def __getitem__(self, name):
        first, *rest = name.split(".")
        other = self.other.get(first, "Other")
        return ".".join(["Other" if other == first else other, *rest])


def others(node, same):
    """Other values of a scalar, each with its name."""
    text = node.value
    if node.tag in ("!Ref", "!GetAtt", "!Condition"):
        yield same[text], yaml.ScalarNode(node.tag, same[text])
        return
    if text.lstrip().startswith(("{", ",")):
        # JSON in YAML: each of its texts and numbers.
        for found in re.finditer(r'"[^"]*"(:?)|\b(?:\d+|true|false|null)\b', text):
            if found[1]:
                continue  # a key
            names = re.findall(r"\$\{([^}]+)\}", found[0])
            other = {"true": "false", "false": "true", "null": '"null"'}.get(found[0], '"Other"')
            if found[0].isdigit():
                other = str(int(found[0]) + 1)
            for value in [other, *(found[0].replace(name, same[name]) for name in names)]:
                changed = text[: found.start()] + value + text[found.end() :]
                yield f"{found[0]} at {found.start()} as {value}", yaml.ScalarNode(node.tag, changed, style="|")
        return
    if text in ("true", "false"):
        values = ["false" if text == "true" else "true"]
    elif re.fullmatch(r"-?\d+", text):
        values = {str(int(text) + 1), str(int(text) - 1), str(int(text) * 2)} if int(text) else {"1"}
    else:
        values = ["Other"]
        for name in re.findall(r"\$\{([^}]+)\}", text) if node.tag == "!Sub" else ():
            values.append(text.replace(name, same[name]))
    for value in values:
        if value != text:
            yield value, yaml.ScalarNode(node.tag, value, style=node.style)


def nodes(node, path):
    """Every value in a node, and the mappings and lists of them."""
    children = pairs(node) if isinstance(node, yaml.MappingNode) else enumerate(node.value)
    for key, value in children:
        inner = [*path, key]
        yield inner, value
        if not isinstance(value, yaml.ScalarNode):
            yield from nodes(value, inner)


def scalar(text):
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="'" if text == "*" else None)


def statements(node, path):
    """The paths of every statement of every policy in a resource."""
    if isinstance(node, yaml.MappingNode):
        for key, value in pairs(node):
            if key == "Statement":
                for index in range(len(value.value)):
                    yield [*path, key, index]
            else:
                yield from statements(value, [*path, key])
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from statements(value, [*path, index])


def pairs(mapping):
    return [(key.value, value) for key, value in mapping.value]


def at(node, path):
    for step in path:
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = dict(pairs(node)).get(step)
        if node is None:
            return None
    return node


def remove_node(root, path):
    *way, last = path
    parent = at(root, way)
    if isinstance(last, int):
        del parent.value[last]
    else:
        parent.value = [(key, value) for key, value in parent.value if key.value != last]


def put_node(node):
    def change(root, path):
        *way, last = path
        parent = at(root, way)
        if isinstance(last, int):
            parent.value[last] = node
        else:
            parent.value = [(key, node if key.value == last else value) for key, value in parent.value]

    return change


def add_node(more):
    """Adds to a value, which becomes a list if it was there as one."""
    more = scalar(more) if isinstance(more, str) else more

    def change(root, path):
        *way, last = path
        value = at(root, path)
        if value is None:
            at(root, way).value.append((scalar(last), more))
        elif isinstance(value, yaml.SequenceNode):
            value.value.append(more)
        else:
            put_node(yaml.SequenceNode("tag:yaml.org,2002:seq", [value, more]))(root, path)

    return change


def exchange_branches(root, path):
    branches = at(root, path).value
    branches[1], branches[2] = branches[2], branches[1]


# The checks.


def cargo_test(*arguments):
    """The command that runs `cargo test` as the Makefile does."""
    return ["bash", "-c", f'{os.environ["CARGO_TEST"]} "$@"', "-", *arguments]


def executables(*tests):
    argv = cargo_test("--no-run", "--message-format=json", *(flag for test in tests for flag in ("--test", test)))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(done.stderr)
    found = {}
    for line in done.stdout.splitlines():
        artifact = json.loads(line)
        if artifact.get("executable") and artifact["target"]["name"] in tests:
            found[artifact["target"]["name"]] = artifact["executable"]
    return found


def take_copy(executables):
    """Gives a worker a copy of this working copy's files to change, and the checks that need no stack: by the file that is
    changed, the quick ones first."""
    copy = COPIES / str(os.getpid())
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / ".local").mkdir()
    for name in ("node_modules", "package.json"):
        (copy / ".local" / name).symlink_to(STATE / name)
    definition.ROOT, definition.DEFINITION = copy, copy / DEFINITION
    environment = os.environ | {"CARGO_MANIFEST_DIR": str(copy / "tests")}

    def command(*argv):
        return lambda: subprocess.run(argv, cwd=copy, env=environment, capture_output=True, check=False).returncode == 0

    def definition_py():
        """Without the picture of the flow, which is a copy of the definition: a change would differ from it, right or wrong."""
        try:
            return not list(definition.problems(json.loads((copy / DEFINITION).read_text())))
        except (KeyError, TypeError):
            return False

    rust = {test: command(executable) for test, executable in executables.items()}
    Worker.copy = copy
    Worker.checks = {
        DEFINITION: {
            "local/definition.py": definition_py,
            "tests/definition.rs": rust["definition"],
            "tests/expressions.mjs": command(VENV_BIN / "node", "tests/expressions.mjs"),
            "tests/template": rust["template"],
            "the definition's validator": command(STATE / "node_modules" / ".bin" / "asl-validator", "--json-path", DEFINITION),
        },
    }
    for template in TEMPLATES:
        Worker.checks[template] = {
            # The grants take longest: each action on each resource.
            "tests/template": command(executables["template"], "--skip", "grants::"),
            "tests/template/grants.rs": command(executables["template"], "grants::"),
            "local/definition.py": definition_py,
            "cfn-lint": command(VENV_BIN / "cfn-lint", template),
        }


class Worker:
    """What a process of the pool works with."""

    copy = None
    checks = None


def judge(mutant):
    """The first check that notices a change, or None."""
    file, name, text = mutant
    changed = Worker.copy / file
    original = changed.read_text()
    changed.write_text(text)
    by = next((check for check, holds in Worker.checks[file].items() if not holds()), None)
    changed.write_text(original)
    return file, name, by


def listed(name):
    return next((pattern for pattern in LISTED if re.search(pattern, name)), None)


def all_mutants():
    wanted = os.environ.get("MUTANTS", "")
    templates = [(file, template_mutants((ROOT / file).read_text())) for file in TEMPLATES]
    for file, mutants in [(DEFINITION, definition_mutants()), *templates]:
        original = (ROOT / file).read_text()
        for name, text in mutants:
            if wanted in name and text != original:
                yield file, name, text


def with_change(file, text, look):
    """Looks while the file of this working copy is changed: what deploys reads it there."""
    original = (ROOT / file).read_text()
    try:
        (ROOT / file).write_text(text)
        return look()
    finally:
        (ROOT / file).write_text(original)


def without_a_stack():
    shutil.rmtree(COPIES, ignore_errors=True)
    survivors, counts = [], Counter()
    try:
        COPIES.mkdir(parents=True)
        # Copies, too, so that nothing that is built meanwhile is taken for a failure.
        built = {test: shutil.copy(path, COPIES / test) for test, path in executables("definition", "template").items()}
        with ProcessPoolExecutor(initializer=take_copy, initargs=(built,)) as pool:
            unchanged = [(file, "nothing", (ROOT / file).read_text()) for file in (DEFINITION, *TEMPLATES)]
            for file, _, by in pool.map(judge, unchanged):
                if by:
                    raise StackError(f"{by} fails without any change of {file}")
            for file, name, by in pool.map(judge, all_mutants()):
                counts[by] += 1
                if by is None:
                    survivors.append([file, name])
                    print(f"passes the checks without a stack: {file}: {name}", flush=True)
    finally:
        shutil.rmtree(COPIES, ignore_errors=True)
    return survivors, counts


def on_stack():
    """Deploys each change that is left to the running local AWS, and runs the end-to-end tests."""
    left = {tuple(each) for each in json.loads(SURVIVORS.read_text())}
    survivors = []
    for file, name, text in list(all_mutants()):
        if (file, name) in left:
            by = with_change(file, text, deployed_and_tested)
            print(f"{by or 'SURVIVES'}: {file}: {name}", flush=True)
            if by is None:
                survivors.append([file, name])
    SURVIVORS.write_text(json.dumps(survivors))
    return 0


def deployed_and_tested():
    """The first test that fails, or the deployment."""
    try:
        build(quick=True)
        deploy()
    except StackError:
        return "the deployment"
    argv = cargo_test("--test", "end_to_end", "--", "--test-threads", "16", *os.environ.get("TESTS", "").split())
    said = []
    with subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as tests:
        for line in tests.stdout:
            said.append(line)
            if failed := re.match(r"test (\S+) \.\.\. FAILED", line):
                # The other tests might wait for minutes for what cannot come.
                os.killpg(tests.pid, signal.SIGTERM)
                return failed[1]
    if tests.returncode != 0:
        raise StackError(f"The tests did not run:\n{''.join(said)[-3000:]}")
    return None


def main():
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    if sys.argv[1:] == ["--on-stack"]:
        return on_stack()
    if sys.argv[1:] == ["--list"]:
        for file, name, _ in all_mutants():
            print(f"{file}: {name}")
        return 0
    begun = time.monotonic()
    survivors, counts = without_a_stack()
    for by, count in counts.items():
        say(f"{count} changes {f'noticed by {by}' if by else 'passed the checks without a stack'}")
    say(f"{sum(counts.values())} changes in {time.monotonic() - begun:.0f} s")
    unlisted = [each for each in survivors if not listed(each[1])]
    unused = set() if os.environ.get("MUTANTS") else set(LISTED) - {listed(name) for _, name in survivors}
    if unlisted and sys.argv[1:] != ["--cheap"]:
        SURVIVORS.write_text(json.dumps(unlisted))
        build(quick=True)
        if run_tests([sys.executable, __file__, "--on-stack"], built=True) != 0:
            raise StackError("The changes could not be tried on a stack, see above")
        unlisted = json.loads(SURVIVORS.read_text())
    for file, name in unlisted:
        print(f"survives: {file}: {name}")
    say(f"{len(unlisted)} survivors, and {len(survivors) - len(unlisted)} listed or noticed on a stack; {time.monotonic() - begun:.0f} s")
    for pattern in unused:
        print(f"is noticed now, take it out of LISTED: {pattern}")
    return 1 if unlisted or unused else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"error: {error}")
