"""`notify-user`: tells the customer how the order ended."""

import json
import os
import re

from botocore.exceptions import BotoCoreError, ClientError

from functions import Misconfigured, NotificationUnavailable, client, failure, served

TOPIC_ARN = os.environ["USER_TOPIC_ARN"]
MESSAGES = {
    "ACCEPTED": "Order confirmed",
    "REJECTED": "Order declined",
    "CANCELLED": "Order cancelled",
    "TIMED_OUT": "Order expired",
    "FAILED": "Order could not be processed",
}

sns = client("sns")


def for_people(at):
    """A time of RFC 3339 to the minute, with the offset that it was given with."""
    offset = re.sub(r"^\.?[0-9]*", "", at[19:])
    return f"{at[:10]} {at[11:16]} {'UTC' if offset in 'Zz' else offset}"


@served
def handler(event, metrics):
    status = event["status"]
    if status not in MESSAGES:
        raise Misconfigured(f"customers are not told of {status}")
    message = {
        "order_id": event["order_id"],
        "customer_id": event["customer_id"],
        "restaurant_id": event["restaurant_id"],
        "status": status,
        "message": MESSAGES[status],
    }
    sentence = MESSAGES[status]
    if ready_at := event.get("ready_at"):
        message["ready_at"] = ready_at
        sentence += f", ready at {for_people(ready_at)}"
    sentence += f": {event['order_id']}."
    if status in ("REJECTED", "CANCELLED") and (reason := event.get("status_reason")):
        message["status_reason"] = reason
        sentence += f" Reason: {reason}"
    for_machines = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    try:
        published = sns.publish(
            TopicArn=TOPIC_ARN,
            Subject=MESSAGES[status],
            MessageStructure="json",
            Message=json.dumps({"default": for_machines, "email": sentence, "sms": sentence}),
            MessageAttributes={
                "customer_id": {"DataType": "String", "StringValue": event["customer_id"]},
                "status": {"DataType": "String", "StringValue": status},
            },
        )
    except (ClientError, BotoCoreError) as error:
        raise failure("notifying the customer", error, NotificationUnavailable) from None
    return {"message_id": published["MessageId"]}
