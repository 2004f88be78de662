#!/usr/bin/env python3
"""Starts MiniStack, the local AWS, as `stack.py` needs it. What is changed about MiniStack itself is in this file."""

from ministack import app
from ministack.services import cloudformation, eventbridge, iam
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS


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


if __name__ == "__main__":
    refuse_to_delete_what_is_in_use()
    app.main()
