#!/usr/bin/env python3
"""Makes, changes and removes a second stack beside the one that `stack.py run` deployed.

Who does it has docs/deployer-policy.json and no other permission; the local AWS asks for its permissions in calls to
CloudFormation and S3, and for none in what CloudFormation does then. The stack is removed by the commands of docs/deploy.md, as
they stand there, by an administrator, after CloudFormation was refused once.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from botocore.exceptions import ClientError
from commands import Shell, commands
from orders import Orders, example
from stack import (
    BUILD,
    ROOT,
    STACK_NAME,
    StackError,
    aws,
    deploy,
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
    """Places an order on a stack, accepts it, and checks that it was."""
    orders = Orders(outputs(stack))
    placed = example(order_id=order_id)
    execution = orders.place(placed)
    orders.answer(orders.token(placed), {"isAccepted": True})
    ended = orders.end(execution)
    require(ended["status"] == "SUCCEEDED", f"{order_id} on the stack {stack} ended {ended['status']}")
    require(orders.item(order_id)["status"] == {"S": "ACCEPTED"}, f"{order_id} on the stack {stack} was not accepted")


def status():
    return aws("cloudformation").describe_stacks(StackName=BESIDE)["Stacks"][0]["StackStatus"]


def log_retention():
    return aws("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{BESIDE}/save-order")["logGroups"][0]["retentionInDays"]


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
    deploy(stack=BESIDE, credentials=credentials)
    refused(credentials)
    order(BESIDE, "ord-same")
    order(STACK_NAME, "ord-same")
    say(f"An order of the same id was accepted on each of the stacks {STACK_NAME} and {BESIDE}")

    deploy(BUILD, "LogRetentionDays=7", stack=BESIDE, credentials=credentials)
    require(log_retention() == 7, f"Logs are kept for {log_retention()} days after LogRetentionDays=7")
    deploy_what_fails(credentials)
    require(status() == "UPDATE_ROLLBACK_COMPLETE", f"After a deployment that failed, the stack is {status()}")
    order(BESIDE, "ord-rolled-back")
    require(log_retention() == 7, "A deployment that failed changed a parameter")
    say("A parameter was changed, and a deployment that failed was rolled back: orders are accepted as before")

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
