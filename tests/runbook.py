#!/usr/bin/env python3
"""Runs every command of docs/runbook.md, as it stands there, on the stack that `stack.py run` deployed.

Before a section's commands run, a scenario makes what they are for: an order that failed, a dead letter.
"""

import json
import re
import sys

from commands import Page, ROOT, STACK_NAME, StackError

import web
from orders import EVENT_SOURCE, example, queue
from stack import aws, until


SEVERAL_METRICS = "the local AWS has no alarms on several metrics"


class Runbook(Page):
    path = ROOT / "docs" / "runbook.md"
    not_run = {
        'orderctl retry "$ORDER"\n': "the local AWS has no RedriveExecution",
        "orderctl retry --all-failed --since 2h\n": "the local AWS has no RedriveExecution",
        "sam build": "tests/release.py deploys",
        "alarm FunctionThrottlesAlarm": SEVERAL_METRICS,
        "alarm FunctionDurationAlarm": SEVERAL_METRICS,
        "alarm FunctionConcurrencyAlarm": SEVERAL_METRICS,
        "alarm TopicDeliveriesAlarm": SEVERAL_METRICS,
        'aws logs filter-log-events --log-group-name "/aws/vendedlogs/apis/': "the local AWS writes no access logs",
    }
    silent = (
        *("aws sqs purge-queue", "aws lambda delete-function-concurrency", "export STACK", "eval"),
        *("logged()", "errors()", "alarm()", "physical()"),
    )

    def __init__(self):
        super().__init__()
        self.events, self.customer = self.subscribe()
        # A link of each kind, made before the page revokes links.
        self.links = {}

    # What the sections are about.

    def prepare(self, section):
        match section:
            case "Find out what happened to an order":
                self.order(self.failed("ord-failed"))
                self.place("ord-invalid", currency="none")
                self.ended("ord-invalid", "FAILED")
            case "ExecutionsFailedAlarm":
                # The alarm's own text has a command that does the same.
                alarms = aws("cloudwatch").describe_alarms(AlarmNamePrefix=f"{STACK_NAME}-ExecutionsFailedAlarm")
                self.run(0, alarms["MetricAlarms"][0]["AlarmDescription"].split("To list them: ")[1])
            case "When the definition is at fault":
                order_id = self.place("ord-stopped")
                self.token(order_id)
                aws("stepfunctions").stop_execution(executionArn=self.execution(order_id))
                self.order(order_id)
            case "The order has its final status":
                self.order(self.rejected("ord-rejected"))
            case "A task token leaked":
                self.order(self.place("ord-leaked"))
                self.token("ord-leaked")
            case "Dead letters of open orders":
                waits = example(total_amount=3150) | {"respond_by": "2100-01-01T00:00:00.000Z", "task_token": "replayed"}
                expired = waits | {"order_id": "ord-expired", "respond_by": "2020-01-01T00:00:00.000Z"}
                ended = {"order_id": "ord-ended", "restaurant_id": "rest-7", "status": "ACCEPTED"}
                event = {"detail-type": "ORDER_ACCEPTED", "time": "2100-01-01T00:00:00Z", "detail": ended}
                for message in (waits | {"order_id": "ord-waits"}, expired, waits | {"order_id": "ord-ended"}, event):
                    self.send("OpenOrdersDeadLetters", json.dumps(message))
                # For the log that the section shows.
                self.send("OpenOrdersQueue", "not of this workflow")
                until(lambda: self.logged("open-orders"), "error in the log of open-orders")
            case "A link is lost":
                self.order(self.place("ord-linked"))
                self.token("ord-linked")
                links = (("restaurant", "rest-7"), ("order", "ord-linked"), ("customer", "ord-linked"))
                self.links = {kind: self.link(kind, name) for kind, name in links}
                for kind, link in self.links.items():
                    if (status := web.status(link)) != 200:
                        raise StackError(f"A {kind} link that nobody revoked is answered {status}")
                self.place("ord-declined-by-link")
                self.token("ord-declined-by-link")
                if (status := web.answer(self.links["restaurant"], order="ord-declined-by-link", do="decline", reason="Busy")) != 303:
                    raise StackError(f"An answer by a link is answered {status}")
                until(lambda: self.logged("web", '"answer given"'), "answer in the log of web")
            case "Dead letters of links":
                pages = self.physical_id("WebPages")
                self.send("LinksDeadLetters", "not of this workflow", pages)
                self.send("LinksQueue", "not of this workflow", pages)
                until(lambda: self.logged("web-links"), "error in the log of web-links")
            case "Dead letters of operations":
                self.send("OperationsDeadLetters", json.dumps({"execution_name": "ord-failed", "status": "FAILED"}))

    def verify(self, section, line, command, printed):
        def require(true, what):
            self.require(true, line, command, what)

        if command.startswith("aws events put-events"):
            workflow, runbook = self.received(self.events, 2)
            parts = ["source", "detail-type", "resources", "detail"]
            require(
                [workflow[part] for part in parts] == [runbook[part] for part in parts],
                f"the event is not the workflow's: {workflow} and {runbook}",
            )
        if "$UPDATE_STATUS" in command:
            item = self.orders.item(self.environment["ORDER"])
            found = [item[name]["S"] for name in ("status", "status_reason")]
            require(found == ["FAILED", "Operations: The workflow could not go on"], f"the order is {found}")
        if "$NOTIFY_USER" in command:
            workflow, runbook = (json.loads(message["Message"]) for message in self.received(self.customer, 2))
            require(workflow == runbook, f"the customer's message is not the workflow's: {workflow} and {runbook}")
        if command.startswith("while") and section == "Dead letters of open orders":
            until(lambda: self.open_order("ord-waits"), "row of the replayed order")
            closed = until(lambda: "closed_at" in (self.open_order("ord-ended") or {}), "row of the order that ended")
            require(closed, "an order that ended is not closed")
            require(not self.open_order("ord-expired"), "an order past its deadline is open again")
            left = self.receive(self.physical_id("OpenOrdersDeadLetters"))
            require(not left, f"dead letters are left: {left}")

        if revoked := re.match("orderctl link --revoke ([a-z]+) (.*)", command):
            kind = revoked[1]
            until(lambda: web.status(self.links[kind]) == 403, f"refusal of the revoked {kind} link", 90)
            name = "rest-7" if kind == "restaurant" else self.environment["ORDER"]
            require(web.status(self.link(kind, name)) == 200, f"a new {kind} link is refused")

    # Scenarios.

    def open_order(self, order_id):
        """The row in the table of open orders of an order that a command of the page put there."""
        return self.orders.row(example(order_id=order_id))

    def logged(self, function, pattern='{ $.level = "ERROR" }'):
        group = f"/aws/lambda/{STACK_NAME}/{function}"
        return aws("logs").filter_log_events(logGroupName=group, filterPattern=pattern)["events"]

    def ended(self, order_id, status):
        if (found := self.orders.end(self.execution(order_id))["status"]) != status:
            raise StackError(f"The execution of {order_id} ended {found}, not {status}")

    def failed(self, order_id):
        """An order that is PLACED, whose restaurant answered, and whose execution failed: it was deleted meanwhile."""
        table, key = self.outputs["OrdersTableName"], {"order_id": {"S": order_id}}
        token = self.token(self.place(order_id))
        item = self.orders.item(order_id)
        aws("dynamodb").delete_item(TableName=table, Key=key)
        self.orders.answer(token, {"isAccepted": True})
        self.ended(order_id, "FAILED")
        aws("dynamodb").put_item(TableName=table, Item=item)
        return order_id

    def rejected(self, order_id):
        """An order that has its final status, with a reason; its event and message are the first in the queues."""
        self.place(order_id, restaurant_id="rest-9")
        self.orders.answer(self.token(order_id), {"isAccepted": False, "reason": 'Out of "dough", it\'s gone'})
        self.ended(order_id, "SUCCEEDED")
        return order_id

    # The local AWS.

    def physical_id(self, logical_id, stack=STACK_NAME):
        found = aws("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def send(self, logical_id, body, stack=STACK_NAME):
        aws("sqs").send_message(QueueUrl=self.physical_id(logical_id, stack), MessageBody=body)

    def receive(self, url):
        found = aws("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        return found.get("Messages", [])

    def subscribe(self):
        """Queues with the events of rejected orders, and with what their customers are told."""
        (events, events_arn), (customer, customer_arn) = queue("runbook-events"), queue("runbook-customer")
        bus = self.outputs["EventBusName"]
        pattern = json.dumps({"source": [EVENT_SOURCE], "detail-type": ["ORDER_REJECTED"]})
        aws("events").put_rule(Name="runbook", EventBusName=bus, EventPattern=pattern)
        aws("events").put_targets(Rule="runbook", EventBusName=bus, Targets=[{"Id": "runbook", "Arn": events_arn}])
        aws("sns").subscribe(TopicArn=self.outputs["UserTopicArn"], Protocol="sqs", Endpoint=customer_arn)
        return events, customer

    def received(self, url, count):
        """That many messages of a queue, in no order."""
        found = []

        def look():
            found.extend(json.loads(message["Body"]) for message in self.receive(url))
            return len(found) >= count

        until(look, f"{count} messages in {url.rsplit('/', 1)[1]}")
        return found


if __name__ == "__main__":
    try:
        Runbook().check()
    except StackError as error:
        sys.exit(f"error: {error}")
