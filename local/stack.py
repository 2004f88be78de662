#!/usr/bin/env python3
"""The workflow's stack on a local AWS: start, deploy, use, stop.

The local AWS is MiniStack. The definition and the functions' binaries are those that AWS gets, and so is the template but
for what `take_out_what_the_local_aws_lacks` lists; only the endpoint differs. Nothing leaves this machine, and nothing listens
beyond its loopback interface.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import platform
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"
# Where `sam build` puts template and binaries.
BUILD = ROOT / ".aws-sam" / "build"
VENV_BIN = STATE / "venv" / "bin"
HOST = "127.0.0.1"
DEFAULT_PORT = 4566
# A region that exists and has no legacy SQS endpoint: in the others, version 1 of the AWS CLI sends `aws sqs` to that
# endpoint and ignores AWS_ENDPOINT_URL.
REGION = "eu-central-2"
# Hosts that are reached directly, even if the environment names a proxy.
NO_PROXY = ",".join(filter(None, [HOST, "localhost", os.environ.get("no_proxy") or os.environ.get("NO_PROXY")]))
STACK_NAME = "order-workflow"
# The prefix of the folders of those local AWSs that live as long as one command.
TEMPORARY = "temporary-"
FUNCTIONS = ["save-order", "update-status", "notify-user", "open-orders"]
WEB_FUNCTIONS = ["web", "web-links"]
# What changes a stack otherwise than by the code of a function. This file adapts the templates.
MADE_BY_SAM = ["template.yaml", "web/template.yaml", "statemachine/order.asl.json", "deploy.toml", "local/stack.py"]
START_SECONDS = 60
STOP_SECONDS = 10


class StackError(Exception):
    """A failure whose message says what went wrong, and what to do about it."""


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


class LocalAws:
    """One local AWS, known by its name. Its process, port, key, log and files are under `.local/<name>/`, which no other user
    of the machine can read."""

    def __init__(self, name):
        self.home = STATE / name
        self.record = self.home / "process.json"
        self.log = self.home / "ministack.log"

    def process(self):
        """What `start` recorded of the process, or None where it does not run."""
        try:
            record = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return None
        return record if runs(record["pid"], record["started_at"]) else None

    def use(self):
        """From now on, this process and what it starts call this local AWS and no other."""
        process = self.process()
        if process is None:
            raise StackError("The local AWS is not running. Start it with `make up`.")
        environment = tools() | process["variables"]
        os.environ.clear()
        os.environ.update(environment)

    def start(self, port, extra=None):
        """Starts it on a port, or a free one; `extra` are settings of MiniStack."""
        if running := self.process():
            say(f"The local AWS is already running on {running['variables']['AWS_ENDPOINT_URL']}")
            return
        port = port or free_port()
        require_free(port)
        shutil.rmtree(self.home, ignore_errors=True)
        STATE.mkdir(exist_ok=True)
        self.home.mkdir(mode=0o700)
        (self.home / "tmp").mkdir()
        say(f"Starting the local AWS on http://{HOST}:{port}")
        variables = {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "AWS_ACCESS_KEY_ID": f"LOCAL{secrets.token_hex(8).upper()}",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": NO_PROXY,
        }
        environment = tools() | variables | {
            # It enforces IAM.
            "AUTH": "true",
            "BIND_HOST": HOST,
            # Part of the address of the pages, at <id>.execute-api.localhost.
            "MINISTACK_HOST": "localhost",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "false",
            "MINISTACK_REGION": REGION,
            "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(self.home / "tmp"),
            "S3_DATA_DIR": str(self.home / "s3"),
            "STATE_DIR": str(self.home / "state"),
        }
        environment |= extra or {}
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [VENV_BIN / "python", ROOT / "local" / "emulator.py"],
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own, so that stopping it also ends the functions that it started.
                start_new_session=True,
            )
        record = {
            "pid": process.pid,
            "started_at": psutil.Process(process.pid).create_time(),
            "variables": variables,
        }
        self.record.write_text(json.dumps(record))

        def is_up():
            if process.poll() is not None:
                raise StackError("The local AWS ended at once")
            return answers(port)

        try:
            until(is_up, "answer of the local AWS", START_SECONDS)
        except StackError as error:
            if process.poll() is None:
                self.stop()
            raise StackError(f"{error}. It logged:\n{self.log.read_text(errors='replace')}") from None

    def stop(self):
        process = self.process()
        if process is None:
            say("The local AWS is not running")
            return
        pid = process["pid"]
        say("Stopping the local AWS")
        members = members_of(pid)
        os.killpg(pid, signal.SIGTERM)
        _, left = psutil.wait_procs(members, timeout=STOP_SECONDS)
        if left:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.record.unlink(missing_ok=True)
        shutil.rmtree(self.home / "tmp", ignore_errors=True)

    def remove(self):
        """Stops it, and leaves nothing of it but its log, as `.local/ministack.log`."""
        if self.process():
            self.stop()
        if self.log.exists():
            self.log.replace(STATE / self.log.name)
        shutil.rmtree(self.home, ignore_errors=True)


def runs(pid, began):
    """Whether the process with this id and this start (seconds since 1970) still runs. A later process may have the same id,
    but not the same start. The starts may differ by seconds, since the clock may have been set."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - began) < 60
    except psutil.NoSuchProcess:
        return False


def members_of(group):
    """The processes of a group."""
    members = []
    for process in psutil.process_iter():
        with suppress(OSError):
            if os.getpgid(process.pid) == group:
                members.append(process)
    return members


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def require_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise StackError(
                f"Port {port} is in use by another program. Choose another one: `make up PORT={port + 1}`."
            ) from None


def answers(port):
    """Whether something answers there, if only by a refusal."""
    connection = HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def tools():
    """The variables by which the pinned tools run, and know no AWS."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return environment | {
        "AWS_PAGER": "",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_CHECK_UPDATES": "0",
        "NO_PROXY": NO_PROXY,
        "no_proxy": NO_PROXY,
        "PATH": f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}",
    }


def architecture():
    """The value of the template's Architecture for which binaries run on this machine."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


def run_step(title, command, environment, log=None):
    """Runs a long command and says how long it took. Shows its output, or keeps it in a log and shows that where the
    command failed."""
    say(title)
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=log.open("wb") if log else sys.stderr,
        stderr=subprocess.STDOUT if log else None,
        check=False,
    )
    if done.returncode != 0:
        if log:
            print(log.read_text(errors="replace"), file=sys.stderr)
        raise StackError(f"This failed, see above: {' '.join(map(str, command))}")
    say(f"Done in {time.monotonic() - begun:.0f} s")


def build(quick=False):
    """Builds the functions and packages them with SAM. A quick build is for trying out changes: the optimization of what
    goes to AWS takes most of a build's time, every time."""
    environment = compile_functions(quick)
    package(environment)


def compile_functions(quick):
    """Builds the functions' binaries as `sam build` does, but all at once and with Cargo's progress in sight; then
    `sam build` finds them built. Gives the variables by which it does."""
    # SAM asks for a region, though a build calls no AWS.
    environment = tools() | {"AWS_DEFAULT_REGION": REGION}
    if quick:
        # Without symbols, which nobody looks up in a function, there is less to pack with each deployment.
        environment |= {"SAM_BUILD_MODE": "debug", "CARGO_PROFILE_DEV_DEBUG": "false", "CARGO_PROFILE_DEV_STRIP": "symbols"}
    flags = [*([] if quick else ["--release"]), *(["--arm64"] if architecture() == "arm64" else [])]
    binaries = [flag for name in FUNCTIONS + WEB_FUNCTIONS for flag in ("--bin", name)]
    how = " without optimization" if quick else ""
    run_step(
        f"Building the functions{how} (minutes the first time, seconds when little changed)",
        ["cargo", "lambda", "build", *flags, *binaries],
        environment,
    )
    return environment


def package(environment):
    STATE.mkdir(exist_ok=True)
    run_step(
        "Packaging them with SAM",
        ["sam", "build", "--parallel", "--parameter-overrides", f"Architecture={architecture()}"],
        environment,
        STATE / "sam-build.log",
    )


@cache
def target():
    """The folder where Cargo puts what it builds. The environment or a setting of Cargo may name another one than `target`."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return Path(json.loads(done.stdout)["target_directory"])


def packed(bootstrap):
    """The deployment package of a function. The same program always makes the same package, so that one sees whether a
    function has it."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        entry = zipfile.ZipInfo(bootstrap.name)
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap.read_bytes())
    return package.getvalue()


def read_template(path):
    """A template with the short forms of its functions written out: `!Ref Id` is `{"Ref": "Id"}`."""
    # Imported here, since most commands do not need it and the import is slow.
    from samcli.yamlhelper import yaml_parse

    return yaml_parse(path.read_text())


def write_template(path, template):
    from samcli.yamlhelper import yaml_dump

    path.write_text(yaml_dump(template))


def take_out_what_the_local_aws_lacks(resources):
    """Removes from the template's resources what the local AWS cannot do. All else is what AWS gets."""
    for name, resource in list(resources.items()):
        properties = resource["Properties"]
        # The local AWS refuses alarms that compute from several metrics.
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            del resources[name]
        # It evaluates neither the keys of a DynamoDB read nor the tags of the caller, and so refuses all calls where a policy
        # compares them.
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            for statement in properties["PolicyDocument"]["Statement"]:
                if "dynamodb:LeadingKeys" in json.dumps(statement.get("Condition", {})):
                    del statement["Condition"]
        # It does not know to which state machine a task token belongs, and so refuses a role that may answer for one only.
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    if "states:SendTaskSuccess" in statement["Action"]:
                        statement["Resource"] = "*"


def adapt(folder, name, nested=False):
    """Writes a built template and those nested in it as the local AWS needs them; gives the path of the outer one."""
    template = read_template(folder / "template.yaml")
    take_out_what_the_local_aws_lacks(template["Resources"])
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            code = folder / resource["Properties"]["CodeUri"]
            archive, written = code.with_suffix(".zip"), code.with_suffix(f".{os.getpid()}")
            written.write_bytes(packed(code / "bootstrap"))
            # At once, since another process may read it.
            written.replace(archive)
            resource["Properties"]["CodeUri"] = archive.name
    if nested:
        template = transform(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Application":
            inner = folder / resource["Properties"]["Location"]
            resource["Properties"]["Location"] = str(adapt(inner.parent, name, nested=True).relative_to(folder))
            # In a nested stack it forgets the attributes of a resource that a deployment leaves as it is. A new tag changes all.
            resource["Properties"]["Tags"] = {"deployed": str(time.time())}
    adapted = folder / name
    write_template(adapted, template)
    return adapted


def transform(template):
    """A template without SAM's forms: the local AWS applies the transform to the outer template and to none within it."""
    from samtranslator.translator.transform import transform as of_sam

    code = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            # The transform accepts S3 paths only, and `sam deploy` uploads the files later.
            code[name] = resource["Properties"].pop("CodeUri")
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
            resource.pop("Metadata", None)
    os.environ["AWS_DEFAULT_REGION"] = REGION
    plain = of_sam(template, {}, Policies)
    for name, path in code.items():
        plain["Resources"][name]["Properties"]["Code"] = path
    return plain


class Policies:
    """SAM asks for managed policies by name; the templates use none."""

    @staticmethod
    def load():
        return {}


def deploy(build=BUILD, *parameters, stack=STACK_NAME, credentials=None):
    """Deploys what was built, without what the local AWS lacks."""
    # Named by the port, since two stacks of their own may be deployed at the same time.
    port = urlsplit(os.environ["AWS_ENDPOINT_URL"]).port
    adapted, log = adapt(build, f"local-{port}.yaml"), STATE / f"sam-deploy-{port}.log"
    run_step(
        f"Deploying the stack {stack} to the local AWS with SAM",
        ["sam", "deploy", "--config-file", ROOT / "deploy.toml", "--config-env", "local", "--template-file", adapted]
        + ["--stack-name", stack, "--parameter-overrides", f"Architecture={architecture()}", "Web=true", *parameters],
        os.environ | (credentials or {}),
        log,
    )
    for each in build.rglob(adapted.name):
        each.unlink()
    log.unlink()


def bring(local, quick):
    """Brings this working copy to a running local AWS: by SAM where more than code has changed since the last time, and the
    code without it. SAM takes half a minute, and does not notice what code was put there without it."""
    environment = compile_functions(quick)
    brought = local.home / "brought"
    changes = hashlib.sha256(b"".join((ROOT / each).read_bytes() for each in MADE_BY_SAM)).hexdigest()
    if not brought.exists() or brought.read_text() != changes:
        brought.unlink(missing_ok=True)
        package(environment)
        deploy()
        brought.write_text(changes)
    for name, function in deployed_functions(STACK_NAME):
        code = packed(target() / "lambda" / name / "bootstrap")
        has = aws("lambda").get_function_configuration(FunctionName=function)["CodeSha256"]
        if has != base64.b64encode(hashlib.sha256(code).digest()).decode():
            say(f"Updating the code of {name}")
            aws("lambda").update_function_code(FunctionName=function, ZipFile=code)


def deployed_functions(stack):
    """The functions of a stack and of those nested in it: of each the name of its binary and its own."""
    for resource in aws("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            words = re.findall("[A-Z][a-z]*", resource["LogicalResourceId"].removesuffix("Function"))
            yield "-".join(words).lower(), resource["PhysicalResourceId"]
        if resource["ResourceType"] == "AWS::CloudFormation::Stack":
            yield from deployed_functions(resource["PhysicalResourceId"])


def aws_cli(*arguments):
    """Runs an AWS CLI command; gives what it printed, as JSON."""
    done = subprocess.run(
        ["aws", *arguments, "--output", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"`aws {' '.join(arguments[:2])}` failed: {done.stderr.strip()}")
    return json.loads(done.stdout) if done.stdout.strip() else {}


@cache
def aws(service):
    """A client of an AWS service. Tests make many calls, and the AWS CLI would start a process for each: minutes in sum."""
    import boto3

    return boto3.client(service)


def until(look, what, seconds=60):
    """Looks until there is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise StackError(f"There was no {what} within {seconds} s")


def outputs(stack=STACK_NAME):
    """The deployed stack's outputs by name."""
    # Imported here, since it is slow.
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = aws("cloudformation").describe_stacks(StackName=stack)
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"The stack {stack} is not deployed. Deploy it with `make deploy`. ({error})") from None
    return {output["OutputKey"]: output["OutputValue"] for output in found["Stacks"][0]["Outputs"]}


def temporary_name():
    """A name that tells which process made the stack, even before the local AWS runs: another command may look for orphans."""
    return f"{TEMPORARY}{os.getpid()}-{int(psutil.Process().create_time())}"


def is_orphan(name):
    """Whether the command that made the temporary stack was ended before it could stop it."""
    owner, _, began = name.removeprefix(TEMPORARY).partition("-")
    return not began or not runs(int(owner), int(began))


@contextmanager
def temporary_stack(extra=None, built=False, quick=False):
    """A deployed stack on a free port, which this process then uses; stops the local AWS in the end whatever happens."""
    if not built:
        build(quick)
    # Interrupts and terminations must still stop what was started.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    for left in STATE.glob(f"{TEMPORARY}*"):
        if is_orphan(left.name):
            LocalAws(left.name).remove()
    local = LocalAws(temporary_name())
    try:
        local.start(None, extra)
        local.use()
        deploy()
        yield
    finally:
        local.remove()


def mocks():
    """The mock configuration of the state machine `mocked`: for each error name that a state retries, a test case
    `<state>: <error>` in which the state fails with it and nothing else is mocked."""
    definition = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())
    cases, responses = {}, {}
    for name, state in definition["States"].items():
        for error in (error for retrier in state.get("Retry", []) for error in retrier["ErrorEquals"]):
            case = f"{name}: {error}"
            thrown = "EventBridge.FailedEntry" if error == "States.ALL" else error
            cases[case] = {name: case}
            responses[case] = {"0": {"Throw": {"Error": thrown, "Cause": "a mock"}}}
    return {"StateMachines": {"mocked": {"TestCases": cases}}, "MockedResponses": responses}


def run(argv, built=False):
    """Runs a command with a stack of its own, named by its environment."""
    # Like an account of AWS, the local AWS refuses more functions at once than this, and the workflow then tries again.
    # Without the limit, a thousand orders at once would start a thousand processes.
    extra = {"LAMBDA_ACCOUNT_CONCURRENCY": "32"}
    with temporary_stack(extra, built):
        return subprocess.run(argv, cwd=ROOT, env=os.environ | outputs(), check=False).returncode


def run_tests(argv, built=False):
    """Runs a command that tests a stack of its own. The local AWS then does not wait before a retry of the workflow, throws
    what the mocks say, and its functions reach it through the port on which the command may put a proxy that injects
    faults."""
    # Bound until the command ends, and listened on by the proxy alone, so that no other process takes it meanwhile.
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((HOST, 0))
    faults_port = bound.getsockname()[1]
    STATE.mkdir(exist_ok=True)
    mock_file = STATE / "mocks.json"
    mock_file.write_text(json.dumps(mocks(), indent=2))
    extra = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{faults_port}",
        "SFN_MOCK_CONFIG": str(mock_file),
        "SFN_WAIT_SCALE": "0",
    }
    with bound, temporary_stack(extra, built):
        environment = os.environ | outputs() | {"FAULTS_PORT": str(faults_port)}
        return subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode


def usage(local):
    found = outputs()
    say("Ready. For the AWS CLI and every AWS SDK, in your shell:")
    path = shlex.quote(f"{STATE / 'bin'}:{VENV_BIN}")
    print(f'export PATH={path}:"$PATH"')
    for name, value in (local.process()["variables"] | {"STACK": STACK_NAME} | found).items():
        print(f"export {name}={shlex.quote(value)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the local AWS and deploy the stack to it")
    up.add_argument("--port", type=int, default=DEFAULT_PORT)
    for command in (up, commands.add_parser("deploy", help="bring a change to the running local AWS in seconds")):
        command.add_argument("--release", action="store_true", help="build the functions as AWS gets them")
    commands.add_parser("env", help="print the variables of the running local AWS; builds nothing")
    commands.add_parser("down", help="stop the local AWS; all that it holds is gone")
    building = commands.add_parser("build", help="build the functions as AWS gets them")
    building.add_argument("--quick", action="store_true", help="build without optimization")
    for name, what in (("run", "a command"), ("test", "tests")):
        command = commands.add_parser(name, help=f"run {what} against a stack of its own, and stop it afterwards")
        command.add_argument("--built", action="store_true", help="deploy what `stack.py build` built, without looking for changes")
        command.add_argument("argv", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()

    local = LocalAws("stack")
    if arguments.command == "up":
        local.start(arguments.port)
    if arguments.command in ("up", "deploy"):
        local.use()
        bring(local, quick=not arguments.release)
        usage(local)
    elif arguments.command == "env":
        local.use()
        usage(local)
    elif arguments.command == "down":
        local.stop()
    elif arguments.command == "build":
        build(arguments.quick)
    else:
        argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
        built = arguments.built
        return run_tests(argv, built) if arguments.command == "test" else run(argv, built)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
