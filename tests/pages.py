#!/usr/bin/env python3
"""Runs the commands of docs/web.md, docs/restaurants.md and docs/events.md, as they stand there, on the stack that
`stack.py run` deployed."""

import json
import re
import sys

import yaml
from commands import ROOT, Page, StackError

import web
from stack import aws, until


def subscription(topic, protocol):
    """The attributes of a topic's subscription."""
    found = aws("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arn = next(each["SubscriptionArn"] for each in found if each["Protocol"] == protocol)
    return aws("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]


class Pages(Page):
    path = ROOT / "docs" / "web.md"

    def prepare(self, section):
        if section == "Links":
            self.place("ord-1001")
            self.token("ord-1001")

    def before(self, section, command):
        """The link that a program was given, to an order that waits."""
        kind = {"order=ord-1001": "restaurant", "do=decline": "order", "do=cancel": "customer"}
        for mark, name in kind.items():
            if command.startswith("curl") and mark in command:
                if name != "restaurant":
                    self.place(f"ord-by-{name}")
                    self.token(f"ord-by-{name}")
                self.environment["LINK"] = self.link(name, "rest-7" if name == "restaurant" else f"ord-by-{name}")

    def verify(self, section, line, command, printed):
        if re.match("orderctl (link (?!--revoke)|place)", command):
            links = re.findall(r"http\S+", printed)
            self.require(links and web.status(links[0]) == 200, line, command, f"no page is behind {printed}")
        if command.startswith("curl"):
            status = {"accept": "ACCEPTED", "decline": "REJECTED", "cancel": "CANCELLED"}[re.search("do=([a-z]+)", command)[1]]
            order_id = "ord-1001" if "order=" in command else f"ord-by-{'order' if status == 'REJECTED' else 'customer'}"
            self.require_status(order_id, status, line, command)
        if command.startswith("aws sns subscribe"):
            policy = json.loads(subscription(self.outputs["LinksTopicArn"], "email")["FilterPolicy"])
            self.require(policy == {"restaurant_id": ["rest-7"]}, line, command, f"the filter is {policy}")


class Restaurants(Page):
    path = ROOT / "docs" / "restaurants.md"
    silent = ("for URL in", "read -r", "aws stepfunctions send-task-success", "aws sqs delete-message")

    def run(self, line, command):
        # This machine has no address that SNS reaches by HTTPS.
        return super().run(line, command.replace("--protocol https", "--protocol http").replace("https://orders.example.com/", "http://127.0.0.1:9/"))

    def verify(self, section, line, command, printed):
        """SNS must try for as long as an order waits, and for no longer than it takes in a policy."""
        if "--protocol https" in command:
            policy = json.loads(subscription(self.outputs["RestaurantTopicArn"], "http")["DeliveryPolicy"])["healthyRetryPolicy"]
            tries, pause = policy["numRetries"], policy["minDelayTarget"]
            definition = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())
            waits = definition["States"]["Notify restaurant"]["TimeoutSeconds"]
            lasts = tries <= 100 and waits <= tries * pause <= 3600
            self.require(lasts, line, command, f"SNS does not take this policy, or stops before {waits} s: {policy}")

        if "send-task-success" in command:
            self.require_status("ord-7001", "ACCEPTED", line, command)


class Events(Page):
    """Another team's stack, with the page's resources in it."""

    path = ROOT / "docs" / "events.md"

    def after(self):
        resources = re.search("```yaml\n(.*?)```", self.path.read_text(), re.DOTALL)[1]
        node = yaml.compose(resources, yaml.CSafeLoader)
        top = yaml.compose("Resources: {}", yaml.CSafeLoader)
        top.value[0] = (top.value[0][0], node)
        aws("cloudformation").create_stack(StackName="another-team", TemplateBody=yaml.serialize(top, Dumper=yaml.CSafeDumper))
        aws("cloudformation").get_waiter("stack_create_complete").wait(StackName="another-team", WaiterConfig={"Delay": 1})
        found = aws("cloudformation").describe_stack_resource(StackName="another-team", LogicalResourceId="AcceptedOrders")
        queue = found["StackResourceDetail"]["PhysicalResourceId"]
        for order_id, accepted in (("ord-declined", False), ("ord-accepted", True)):
            self.place(order_id)
            self.orders.answer(self.token(order_id), {"isAccepted": accepted})
            self.orders.end(self.execution(order_id))
        received = until(lambda: aws("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"), "accepted order")
        found = [json.loads(message["Body"])["detail"]["order_id"] for message in received]
        if found != ["ord-accepted"]:
            raise StackError(f"{self.path}: the other team's queue got {found}")
        aws("cloudformation").delete_stack(StackName="another-team")


if __name__ == "__main__":
    try:
        for page in (Pages, Restaurants, Events):
            page().check()
    except StackError as error:
        sys.exit(f"error: {error}")
