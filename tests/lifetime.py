#!/usr/bin/env python3
"""Makes, changes and removes a second stack beside the one that `stack.py run` deployed.

Who does it has docs/deployer-policy.json and no other permission; the local AWS asks for its permissions in calls to
CloudFormation and S3, and for none in what CloudFormation does then. The stack is removed by the commands of docs/deploy.md, as
they stand there, by an administrator, after CloudFormation was refused once. Between the two, every parameter gets another value than its
default, and each must change what is deployed.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
import web
from botocore.exceptions import ClientError
from commands import Shell, commands
from orders import Orders, example, queue
from stack import (
    BUILD,
    ROOT,
    STACK_NAME,
    StackError,
    architecture,
    aws,
    deploy,
    deployed_functions,
    outputs,
    read_template,
    say,
    until,
    write_template,
)

PAGE = ROOT / "docs" / "deploy.md"
BESIDE = "beside"
CERTIFICATE = "arn:aws:acm:eu-central-2:000000000000:certificate/1a2b3c4d"
# Parameters, and what CloudFormation says of them.
REFUSED = [
    ({"OperationsEmail": "nobody"}, "must be one e-mail address"),
    ({"OperationsEmail": "a@example.com, b@example.com"}, "must be one e-mail address"),
    ({"WebDomain": "orders.example.com"}, "WebDomain needs WebCertificateArn"),
    ({"WebCertificateArn": CERTIFICATE}, "WebCertificateArn needs WebDomain"),
    ({"WebDomain": "orders.example.com", "WebCertificateArn": "orders.example.com"}, "must be the ARN of a certificate"),
]
TAKEN = [
    {},
    {"OperationsEmail": "operations+orders@example.co.uk"},
    {"WebDomain": "orders.example.com", "WebCertificateArn": CERTIFICATE},
]

# What shows each parameter: first with all defaults, and so without pages, then with GIVEN.
DEFAULTS = {
    "Architecture": {architecture()},
    "OperationsEmail": [],
    "LogRetentionDays": [30] * 5,
    "DeletionProtection": "true",
    "OrderRetentionDays": {"PLACED": None, "ACCEPTED": None},
    "Web": False,
}
GIVEN = {
    "Architecture": "arm64" if architecture() == "x86_64" else "x86_64",
    "OperationsEmail": "operations@example.com",
    "LogRetentionDays": 7,
    "DeletionProtection": "false",
    "OrderRetentionDays": 90,
    "Web": "true",
    "WebDomain": "orders.example.com",
    "WebCertificateArn": CERTIFICATE,
    "LinkEpoch": "0123456789abcdef",
}
THEN = {
    "Architecture": {GIVEN["Architecture"]},
    "OperationsEmail": ["operations@example.com"],
    "LogRetentionDays": [7] * 8,
    "DeletionProtection": "false",
    "OrderRetentionDays": {"PLACED": 90, "ACCEPTED": 90},
    "Web": True,
    "WebDomain": {"Url": "https://orders.example.com", "Domains": ["orders.example.com"], "WithoutIt": True},
    "WebCertificateArn": [CERTIFICATE],
    "LinkEpoch": "0123456789abcdef",
}
# Of the pages with defaults, which the other stack has.
WEB_DEFAULTS = {"Web": True, "WebCertificateArn": []}
# The local AWS takes neither alarms of several metrics nor point-in-time recovery nor reserved concurrency from a template, and
# shows no limits of the pages. tests/template/storage.rs has what these parameters set.
NOT_SEEN = {
    "RefusedOrdersAlarmThreshold",
    "TasksFailedAlarmThreshold",
    "ConcurrencyAlarmThreshold",
    "PointInTimeRecovery",
    "WebRate",
    "WebBurst",
    "WebConcurrency",
}


def require(true, what):
    if not true:
        raise StackError(what)


def try_parameters():
    """Gives the template's parameters and rules, with a topic instead of all resources, wrong and right parameters."""
    template = read_template(ROOT / "template.yaml")
    body = {name: template[name] for name in ("Parameters", "Rules")} | {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}

    def create(number, parameters):
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        aws("cloudformation").create_stack(StackName=f"parameters-{number}", TemplateBody=json.dumps(body), Parameters=given)

    for parameters, reason in REFUSED:
        try:
            create("refused", parameters)
        except ClientError as error:
            require(reason in str(error), f"{parameters} are refused for another reason than `{reason}`: {error}")
        else:
            raise StackError(f"CloudFormation takes {parameters}")
    for number, parameters in enumerate(TAKEN):
        create(number, parameters)
    say(f"{len(REFUSED)} wrong sets of parameters are refused before anything is made, {len(TAKEN)} right ones are taken")


def deployer():
    """The credentials of a user who has the documented policy only."""
    shell = Shell(os.environ | {"STACK": BESIDE})
    run_section(shell, "Who may deploy")
    aws("iam").create_user(UserName="deployer")
    policies = aws("iam").list_policies(Scope="Local")["Policies"]
    arn = next(each["Arn"] for each in policies if each["PolicyName"] == f"{BESIDE}-deployer")
    aws("iam").attach_user_policy(UserName="deployer", PolicyArn=arn)
    key = aws("iam").create_access_key(UserName="deployer")["AccessKey"]
    # SAM's bucket demands TLS, which the local AWS does not have.
    for bucket in aws("s3").list_buckets()["Buckets"]:
        aws("s3").delete_bucket_policy(Bucket=bucket["Name"])
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def run_section(shell, section):
    """Runs the commands of a section of the page."""
    found = [(line, command) for heading, line, command in commands(PAGE) if heading == section]
    require(found, f"{PAGE.name} has no commands in `{section}`")
    for line, command in found:
        done = shell.shell(command)
        require(done.returncode == 0, f"{PAGE}:{line}: this failed:\n{command}\n{done.stdout}{done.stderr}")


def order(stack, order_id):
    """Places an order on a stack, accepts it, and checks that it was. Gives how many days it is kept, in each status."""
    orders = Orders(outputs(stack))
    placed = example(order_id=order_id)
    execution = orders.place(placed)
    token = orders.token(placed)
    kept = {"PLACED": days_left(orders, order_id)}
    orders.answer(token, {"isAccepted": True})
    ended = orders.end(execution)
    require(ended["status"] == "SUCCEEDED", f"{order_id} on the stack {stack} ended {ended['status']}")
    require(orders.item(order_id)["status"] == {"S": "ACCEPTED"}, f"{order_id} on the stack {stack} was not accepted")
    return kept | {"ACCEPTED": days_left(orders, order_id)}


def days_left(orders, order_id):
    expires = orders.item(order_id).get("expires_at")
    return expires and round((int(expires["N"]) - time.time()) / (24 * 60 * 60))


def resources(stack, kind):
    """The names of all resources of a type in a stack and its pages, by those in the template."""
    found = {}
    for each in aws("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]:
        if each["ResourceType"] == kind:
            found[each["LogicalResourceId"]] = each["PhysicalResourceId"]
        if each["ResourceType"] == "AWS::CloudFormation::Stack":
            found |= resources(each["PhysicalResourceId"], kind)
    return found


def seen(stack, order_id):
    """What shows each parameter on a stack, with an order of this id that is placed there."""
    found, api = outputs(stack), aws("apigatewayv2")
    table = {"TableName": found["OrdersTableName"]}
    functions = [function for _, function in deployed_functions(stack)]
    logs = set(resources(stack, "AWS::Logs::LogGroup").values())
    groups = [each for each in aws("logs").describe_log_groups()["logGroups"] if each["logGroupName"] in logs]
    told = aws("sns").list_subscriptions_by_topic(TopicArn=found["OperationsTopicArn"])["Subscriptions"]
    shown = {
        "Architecture": {each for name in functions for each in aws("lambda").get_function_configuration(FunctionName=name)["Architectures"]},
        "OperationsEmail": [each["Endpoint"] for each in told if each["Protocol"] == "email"],
        "LogRetentionDays": [each["retentionInDays"] for each in groups],
        # The local AWS keeps the text.
        "DeletionProtection": str(aws("dynamodb").describe_table(**table)["Table"]["DeletionProtectionEnabled"]).lower(),
        "OrderRetentionDays": order(stack, order_id),
        "Web": "WebUrl" in found,
    }
    for pages in resources(stack, "AWS::ApiGatewayV2::Api").values():
        domains = api.get_domain_names()["Items"]
        mapped = [each for each in domains if pages in {to["ApiId"] for to in api.get_api_mappings(DomainName=each["DomainName"])["Items"]}]
        shown |= {
            "WebDomain": {
                "Url": found["WebUrl"],
                "Domains": [each["DomainName"] for each in mapped],
                "WithoutIt": api.get_api(ApiId=pages)["DisableExecuteApiEndpoint"],
            },
            "WebCertificateArn": [part["CertificateArn"] for each in mapped for part in each["DomainNameConfigurations"]],
            "LinkEpoch": found["LinkEpoch"],
        }
    return shown


def require_shown(stack, when, shown, expected):
    wrong = {name: shown.get(name) for name in expected if shown.get(name) != expected[name]}
    require(not wrong, f"{when}, the stack {stack} shows {wrong} and not {({name: expected[name] for name in wrong})}")


def order_by_pages_of_own_domain():
    """An order is answered by the link that is published for it and by one that somebody makes, both with the domain and the
    epoch. The local AWS serves no domain, so that they are opened at the address that AWS would close."""
    found = outputs(BESIDE)
    orders, site = Orders(found), found["WebUrl"]
    (api,) = resources(BESIDE, "AWS::ApiGatewayV2::Api").values()
    address = aws("apigatewayv2").get_api(ApiId=api)["ApiEndpoint"]
    require(found["WebDomainTarget"], "The stack does not say what its domain must point to")
    links, arn = queue("links-of-own-domain")
    aws("sns").subscribe(TopicArn=found["LinksTopicArn"], Protocol="sqs", Endpoint=arn)

    def published():
        received = aws("sqs").receive_message(QueueUrl=links, WaitTimeSeconds=1).get("Messages")
        return received and json.loads(received[0]["Body"])["Message"].split()[-1]

    made = web.link(found, "restaurant", "rest-7")
    placed = example(order_id="ord-by-page")
    execution = orders.place(placed)
    for link in (made, until(published, "link to an order")):
        require(link.startswith(f"{site}/"), f"A link to the pages of {site} is {link}")
        status = web.status(link.replace(site, address))
        require(status == 200, f"A link with the domain and the epoch is answered {status}: {link}")
    form = {"order": "ord-by-page", "do": "accept", "minutes": "20"}
    for origin, expected in ((address, 403), (site, 303)):
        status = web.answer(made.replace(site, address), origin, **form)
        require(status == expected, f"A form of {origin} is answered {status} by the pages of {site}, and not {expected}")
    orders.end(execution)
    require(orders.item("ord-by-page")["status"] == {"S": "ACCEPTED"}, "The order was not accepted by its page")


def status():
    return aws("cloudformation").describe_stacks(StackName=BESIDE)["Stacks"][0]["StackStatus"]


def deploy_what_fails(credentials):
    """Deploys a change of the stack together with a resource that cannot be made: a bus that is there already."""
    # Beside the build, since the paths in its template are relative.
    build = BUILD.parent / "fails"
    shutil.copytree(BUILD, build, dirs_exist_ok=True, ignore=shutil.ignore_patterns("local*.yaml"))
    try:
        template = read_template(build / "template.yaml")
        template["Resources"]["UpdateStatusFunction"]["Properties"]["Environment"]["Variables"]["ORDERS_TABLE"] = "wrong"
        exists = {"Name": f"{STACK_NAME}-orders"}
        template["Resources"]["Fails"] = {"Type": "AWS::Events::EventBus", "DependsOn": "UpdateStatusFunction", "Properties": exists}
        write_template(build / "template.yaml", template)
        with redirect_stderr(StringIO()):
            deploy(build, stack=BESIDE, credentials=credentials)
    except StackError:
        return
    finally:
        shutil.rmtree(build)
    raise StackError("A bus that is there already did not fail a deployment")


def refused(credentials):
    """What the documented policy must not allow: to touch another stack."""
    command = ["aws", "cloudformation", "delete-stack", "--stack-name", STACK_NAME]
    environment = os.environ | credentials
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    require("AccessDenied" in done.stderr, f"The deployer may delete the stack {STACK_NAME}: {done.stderr}")


def in_use():
    """Does to the stack what stops its deletion: gives people its policies, and puts somebody's rule on its bus."""
    found = outputs(BESIDE)
    aws("iam").create_user(UserName="waiter")
    aws("iam").attach_user_policy(UserName="waiter", PolicyArn=found["RestaurantPolicyArn"])
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    aws("iam").create_role(RoleName="shop", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    aws("iam").attach_role_policy(RoleName="shop", PolicyArn=found["CustomerLinksPolicyArn"])
    bus = {"EventBusName": found["EventBusName"]}
    aws("events").put_rule(Name="theirs", EventPattern=json.dumps({"source": ["order-processing"]}), **bus)
    targets = [{"Id": "theirs", "Arn": "arn:aws:sqs:eu-central-2:000000000000:theirs"}]
    aws("events").put_targets(Rule="theirs", Targets=targets, **bus)
    return found


def ended(wanted):
    """Waits until the stack's deletion has ended as wanted."""

    def look():
        stacks = aws("cloudformation").list_stacks()["StackSummaries"]
        return next(each["StackStatus"] for each in stacks if each["StackName"] == BESIDE) == wanted

    until(look, f"stack {BESIDE} that is {wanted}")


def left():
    """The names of all that still exists and is named by the stack."""
    iam, listed = aws("iam"), []
    listed += aws("dynamodb").list_tables()["TableNames"]
    listed += [each["FunctionName"] for each in aws("lambda").list_functions()["Functions"]]
    listed += [each["TopicArn"].split(":")[-1] for each in aws("sns").list_topics()["Topics"]]
    listed += [each.rsplit("/", 1)[1] for each in aws("sqs").list_queues().get("QueueUrls", [])]
    listed += [each["logGroupName"].removeprefix("/aws/lambda/") for each in aws("logs").describe_log_groups()["logGroups"]]
    listed += [each["RoleName"] for each in iam.list_roles()["Roles"]]
    listed += [each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]]
    listed += [each["Name"] for each in aws("events").list_event_buses()["EventBuses"]]
    listed += [each["name"] for each in aws("stepfunctions").list_state_machines()["stateMachines"]]
    listed += [each["AlarmName"] for each in aws("cloudwatch").describe_alarms()["MetricAlarms"]]
    return [name for name in listed if name.startswith(BESIDE) and name != f"{BESIDE}-deployer"]


def main():
    try_parameters()
    credentials = deployer()
    deploy(BUILD, "Web=false", stack=BESIDE, credentials=credentials)
    refused(credentials)
    require_shown(BESIDE, "With defaults", seen(BESIDE, "ord-same"), DEFAULTS)
    require_shown(STACK_NAME, "With defaults", seen(STACK_NAME, "ord-same"), WEB_DEFAULTS)
    say(f"An order of the same id was accepted on each of the stacks {STACK_NAME} and {BESIDE}")

    parameters = set(read_template(ROOT / "template.yaml")["Parameters"])
    require(set(GIVEN) == set(THEN) == parameters - NOT_SEEN, f"Parameters that nothing shows: {parameters - NOT_SEEN ^ set(THEN)}")
    deploy(BUILD, *(f"{name}={value}" for name, value in GIVEN.items()), stack=BESIDE, credentials=credentials)
    require_shown(BESIDE, "With other parameters", seen(BESIDE, "ord-changed"), THEN)
    order_by_pages_of_own_domain()
    deploy_what_fails(credentials)
    require(status() == "UPDATE_ROLLBACK_COMPLETE", f"After a deployment that failed, the stack is {status()}")
    require_shown(BESIDE, "After a deployment that failed", seen(BESIDE, "ord-rolled-back"), THEN)
    say(f"{len(GIVEN)} parameters were changed, each with its effect, and a deployment that failed was rolled back: orders are accepted as before")

    found = in_use()
    aws("cloudformation").delete_stack(StackName=BESIDE)
    ended("DELETE_FAILED")
    reasons = {
        each["LogicalResourceId"]: each.get("ResourceStatusReason", "")
        for each in aws("cloudformation").describe_stack_events(StackName=BESIDE)["StackEvents"]
        if each["ResourceStatus"] == "DELETE_FAILED"
    }
    say(f"The deletion of a stack in use is refused: {reasons}")
    require({"RestaurantPolicy", "OrderEventBus", "WebPages"} <= set(reasons), "Something in use was deleted")

    shell = Shell(os.environ | found | {"STACK": BESIDE})
    run_section(shell, "Remove a stack")
    ended("DELETE_COMPLETE")
    require(left() == [found["OrdersTableName"]], f"This is left, and not only the table of orders: {left()}")
    require(Orders(found).item("ord-same"), "The table of orders that is left has no orders")
    order(STACK_NAME, "ord-other-stack-removed")
    say(f"The stack {BESIDE} is removed. Its table of orders stays, with its orders, and so does the stack {STACK_NAME}")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
