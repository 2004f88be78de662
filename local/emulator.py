#!/usr/bin/env python3
"""Starts MiniStack, the local AWS, as `stack.py` needs it. What is changed about MiniStack itself is in this file.

MiniStack runs functions as processes of the user who started it, so whoever may create a function there can run any program
as that user. As it comes, every web page in a browser of this machine may: MiniStack takes the known key `test`, looks at
neither `Host` nor `Origin`, and lets other sites read its answers. Here it serves only programs that have its key.
"""

import json
import os
import re

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.lambda_runtime import ProvidedWorker
from ministack.services import cloudformation, cloudwatch_logs, eventbridge, iam
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

# The hosts of AWS's interfaces, on any port: the tests have a proxy on another one.
AWS = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
# The hosts of HTTP APIs, which are the web pages. As on AWS, their functions decide who may do what.
PAGES = re.compile(r"[0-9a-f]{8}\.execute-api\.localhost(:\d+)?")
# What MiniStack serves on every host and without a key, and nothing here uses: its own interface, a registry of images, and
# the pages of Cognito.
UNUSED = re.compile(
    r"/_.*|/health|/v2/?|/v2/.*(_catalog|/blobs/.*|/manifests/.*|/tags/list)|/oauth2/.*|/(login|logout|signup).*|.*/\.well-known/.*",
    # A path may have a line break.
    re.DOTALL,
)


def refusal_of_a_browser(hosts, origins, sites):
    """Why a request may be one that a web page sent, or None. A page of another site cannot leave out `Origin` and
    `Sec-Fetch-Site`; and a site whose name leads to this machine, so that it is no other site, cannot choose `Host`."""
    if len(hosts) != 1 or not AWS.fullmatch(hosts[0].lower()):
        return "this host is not served"
    if origins or any(site != "none" for site in sites):
        return "web pages may not call this interface"
    return None


def refusal(scope):
    """Why a request is refused before MiniStack sees it, or None."""

    def values(name):
        return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]

    if scope["type"] != "http":
        return "there are no WebSockets here"
    if UNUSED.fullmatch(scope["path"]):
        return "this interface of MiniStack is closed"
    hosts = values(b"host")
    if len(hosts) == 1 and PAGES.fullmatch(hosts[0].lower()):
        return None
    if why := refusal_of_a_browser(hosts, values(b"origin"), values(b"sec-fetch-site")):
        return why
    if not any(value.startswith("AWS4-HMAC-SHA256 ") for value in values(b"authorization")):
        return "the request is not signed: `make env` prints the key"
    return None


def guarded(ministack):
    """MiniStack's application behind the checks of this file."""

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            return await ministack(scope, receive, send)
        why = refusal(scope)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close"})
        if why:
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            return await send({"type": "http.response.body", "body": f"Refused: {why}\n".encode()})

        async def send_without_cors(message):
            if message["type"] == "http.response.start":
                kept = [header for header in message["headers"] if not header[0].lower().startswith(b"access-control-")]
                message = message | {"headers": kept}
            await send(message)

        headers = list(scope["headers"])
        if not any(PAGES.fullmatch(value.decode("latin-1").lower()) for name, value in headers if name.lower() == b"host"):
            # What is sent to AWS's interfaces counts as sent by TLS, which the policies of topics and queues demand. Nothing
            # leaves this machine.
            headers = [header for header in headers if header[0].lower() != b"x-forwarded-proto"]
            headers.append((b"x-forwarded-proto", b"https"))
        return await ministack(scope | {"headers": headers}, receive, send_without_cors)

    return application


def guard_runtime_api():
    """Lets no web page talk to the ports by which functions take their events and give their results."""
    build = ProvidedWorker._build_handler_class

    def build_guarded(worker, *arguments):
        class Guarded(build(worker, *arguments)):
            def parse_request(self):
                if not super().parse_request():
                    return False
                hosts, origins, sites = (self.headers.get_all(name, []) for name in ("Host", "Origin", "Sec-Fetch-Site"))
                if why := refusal_of_a_browser(hosts, origins, sites):
                    self.send_error(403, why)
                    return False
                return True

        return Guarded

    ProvidedWorker._build_handler_class = build_guarded


def verify_signatures_of_root():
    """MiniStack takes the key `test`, each key of 12 digits and no key at all for root's, and believes root without looking
    at the signature. Here root has one key, and signs like everybody else."""
    iam_evaluator.is_root_access_key = lambda key: key == os.environ["AWS_ACCESS_KEY_ID"]
    iam_evaluator._is_root_key = lambda key: False


def in_use(kind, name):
    """Why AWS refuses to delete a resource, or None. MiniStack's CloudFormation deletes it, or forgets it where it is in a nested
    stack."""
    if kind == "AWS::Events::EventBus" and any(rule.get("EventBusName") == name for rule in eventbridge._rules.values()):
        return "EventBus can't be deleted since it has rules."
    if kind == "AWS::IAM::ManagedPolicy" and iam._policies.get(name, {}).get("AttachmentCount"):
        return "Cannot delete a policy attached to entities."
    if kind == "AWS::CloudFormation::Stack":
        nested = next((stack for stack in cloudformation._stacks.values() if stack["StackId"] == name), {})
        resources = nested.get("_resources", {}).values()
        return next(filter(None, (in_use(each["ResourceType"], each["PhysicalResourceId"]) for each in resources)), None)
    return None


def refuse_to_delete_what_is_in_use():
    """Makes MiniStack refuse what AWS refuses: deletions by CloudFormation, and by others of a bus. (Others' deletions of a policy
    it refuses already.)"""

    def unless_in_use(kind, delete):
        def delete_or_fail(name, properties):
            if reason := in_use(kind, name):
                raise ValueError(reason)
            delete(name, properties)

        return delete_or_fail

    for kind in ("AWS::Events::EventBus", "AWS::IAM::ManagedPolicy", "AWS::CloudFormation::Stack"):
        handlers = _RESOURCE_HANDLERS[kind]
        handlers["delete"] = unless_in_use(kind, handlers["delete"])
    delete_bus = eventbridge._delete_event_bus

    def delete_bus_or_answer(request):
        reason = in_use("AWS::Events::EventBus", request["Name"])
        return eventbridge.error_response_json("ValidationException", reason, 400) if reason else delete_bus(request)

    eventbridge._delete_event_bus = delete_bus_or_answer


def filter_logs_as_aws_does():
    """Makes MiniStack find what AWS finds: for it, a pattern of JSON matches each line, and a phrase each line with its words.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"""

    def compile_pattern(pattern):
        pattern = pattern.strip()
        if not pattern:
            return lambda line: True
        if phrase := re.fullmatch('"([^"]+)"', pattern):
            return lambda line: phrase[1] in line
        if field := re.fullmatch(r'{ \$\.(\w+) = "([^"]*)" }', pattern):

            def has_field(line):
                try:
                    return json.loads(line).get(field[1]) == field[2]
                except (AttributeError, ValueError):
                    return False

            return has_field
        raise ValueError(f"Say in local/emulator.py what the pattern {pattern} finds")

    cloudwatch_logs._compile_filter_pattern = compile_pattern


if __name__ == "__main__":
    filter_logs_as_aws_does()
    refuse_to_delete_what_is_in_use()
    app.app = guarded(app.app)
    guard_runtime_api()
    verify_signatures_of_root()
    app.main()
