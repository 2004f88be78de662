#!/usr/bin/env python3
"""Writes into docs/deploy.md how many resources a deployment makes, and checks docs/deployer-policy.json: it must allow what
CloudFormation does for each resource in the deploying principal's name, as CloudFormation's schemas say, and to no other stack.

Without arguments: writes. With --check: changes nothing, and fails if a check fails or the page is old.
"""

import json
import sys
from fnmatch import fnmatchcase

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from stack import REGION, ROOT, read_template, transform

PAGE = ROOT / "docs" / "deploy.md"
POLICY = ROOT / "docs" / "deployer-policy.json"
BEGIN, END = "<!-- counted by local/deployment.py -->\n", "<!-- end of the count -->"

# What the schemas list for properties that no resource here has.
UNUSED = [
    # Functions in a network, with file systems, layers or gradual deployments.
    *("ec2:*", "elasticfilesystem:*", "s3files:*", "codedeploy:*"),
    # Keys of event buses, functions, state machines and event source mappings.
    *("kms:GenerateData*", "kms:ReEncrypt*"),
    # Tables that are imported, replicated or streamed.
    *("dynamodb:*TableReplica", "dynamodb:ImportTable", "dynamodb:*KinesisStreaming*", "kinesis:*"),
    *("dynamodb:*Item", "dynamodb:Query", "dynamodb:Scan", "iam:CreateServiceLinkedRole"),
    *("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
    # Log groups that pass on what they get.
    "firehose:*",
]
# What the schemas leave out: access logs, as
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html says.
UNLISTED = [
    *(f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups"),
]
# Resources as CloudFormation names them for the stack `shop`, by service.
NAMED = {
    "cloudformation": ["cloudformation:r:1:stack/shop/1a2b", "cloudformation:r:1:stack/shop-WebPages-1A2B/1a2b"],
    "cloudwatch": ["cloudwatch:r:1:alarm:shop-ErrorsAlarm-1A2B", "cloudwatch::1:dashboard/shop"],
    "dynamodb": ["dynamodb:r:1:table/shop-OrdersTable-1A2B"],
    "events": ["events:r:1:event-bus/shop-orders", "events:r:1:rule/shop-orders/final-events", "events:r:1:rule/shop-Rule-1A2B"],
    "iam": ["iam::1:role/shop-SaveOrderFunctionRole-1A2B", "iam::1:policy/shop-RestaurantPolicy-1A2B"],
    "lambda": ["lambda:r:1:function:shop-SaveOrderFunction-1A2B"],
    "logs": ["logs:r:1:log-group:/aws/lambda/shop/save-order", "logs:r:1:log-group:/aws/vendedlogs/states/shop"],
    "sns": ["sns:r:1:shop-UserTopic-1A2B", "sns:r:1:shop-UserTopic-1A2B:1a2b"],
    "sqs": ["sqs:r:1:shop-OpenOrdersQueue-1A2B"],
    "states": ["states:r:1:stateMachine:shop-OrderStateMachine-1A2B"],
}
# Those whose names do not tell their stack.
NAMELESS = {
    "apigateway": ["apigateway:r::/apis/1a2b"],
    "kms": ["kms:r:1:key/1a2b"],
    "lambda": ["lambda:r:1:event-source-mapping:1a2b"],
    "logs": ["logs:r:1:log-group::log-stream:"],
    "s3": ["s3:::aws-sam-cli-managed-default-samclisourcebucket-1a2b/1a2b"],
}


def resources(path):
    """The resources of a template after SAM's transform."""
    template = read_template(path)
    uploaded = {
        "AWS::Serverless::Function": ("CodeUri", "s3://bucket/key"),
        "AWS::Serverless::StateMachine": ("DefinitionUri", "s3://bucket/key"),
        "AWS::Serverless::Application": ("Location", "https://s3.amazonaws.com/bucket/key"),
    }
    for resource in template["Resources"].values():
        if resource["Type"] in uploaded:
            name, value = uploaded[resource["Type"]]
            resource["Properties"][name] = value
    return transform(template)["Resources"].values()


def counted(outer, pages):
    """How many resources there are, by the parameter that asks for them."""
    parts = {
        "The stack": [each for each in outer if "Condition" not in each],
        "`Web=true`": [*pages, *(each for each in outer if each.get("Condition") == "HasWeb")],
        "`OperationsEmail`": [each for each in outer if each.get("Condition") == "HasOperationsEmail"],
    }
    parts["`WebDomain`"] = [each for each in pages if each.get("Condition") == "HasDomain"]
    parts["`Web=true`"] = [each for each in parts["`Web=true`"] if each not in parts["`WebDomain`"]]
    stack, *others = ((part, len(found)) for part, found in parts.items())
    return f"{stack[0]} has {stack[1]} resources; {', '.join(f'{part} adds {count}' for part, count in others)}.\n"


def problems(types):
    """What the policy allows too little of, or too much."""
    statements = json.loads(POLICY.read_text().replace("STACK", "shop"))["Statement"]
    statements = [{name: [value] if isinstance(value, str) else value for name, value in each.items()} for each in statements]

    def allowed(action, resource):
        return any(
            any(fnmatchcase(action.lower(), pattern.lower()) for pattern in statement["Action"])
            and any(fnmatchcase(f"arn:aws:{resource}", pattern) for pattern in statement["Resource"])
            for statement in statements
        )

    needed = set(UNLISTED)
    for kind in types:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema["handlers"]
        needed |= {action for verb in ("create", "read", "update", "delete") for action in handlers.get(verb, {}).get("permissions", [])}
    needed = sorted(action for action in needed if not any(fnmatchcase(action, pattern) for pattern in UNUSED))
    for action in needed:
        service = action.split(":")[0]
        if any(allowed(action, resource) for resource in NAMELESS.get(service, [])):
            continue
        if not any(allowed(action, resource) for resource in NAMED.get(service, [])):
            yield f"it does not allow {action}, which CloudFormation needs"
        for resource in (each.replace("shop", "other") for each in NAMED.get(service, [])):
            if allowed(action, resource):
                yield f"it allows {action} on {resource}, another stack's"
    patterns = {pattern for statement in statements for pattern in statement["Action"]}
    for pattern in sorted(patterns):
        own = pattern.startswith(("cloudformation:", "s3:"))
        if not own and not any(fnmatchcase(action.lower(), pattern.lower()) for action in needed):
            yield f"it allows {pattern}, which CloudFormation does not need"


def main():
    check = sys.argv[1:] == ["--check"]
    outer, pages = list(resources(ROOT / "template.yaml")), list(resources(ROOT / "web" / "template.yaml"))
    found = list(problems({each["Type"] for each in outer + pages})) if check else []
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    written = before + BEGIN + counted(outer, pages) + END + rest.split(END, 1)[1]
    for problem in found:
        print(f"{POLICY.name}: {problem}", file=sys.stderr)
    if written != page and check:
        found.append("old")
        print("docs/deploy.md does not count the resources as they are: run `.local/venv/bin/python local/deployment.py`", file=sys.stderr)
    elif written != page:
        PAGE.write_text(written)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
