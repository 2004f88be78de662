"""`update-status`: decides what there is to say of an order's final status, and records both."""

import os
import re
import time
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from functions import Misconfigured, OrderNotFound, StatusConflict, StoreUnavailable, client, failure, is_printable, served

TABLE = os.environ["ORDERS_TABLE"]
RETENTION_DAYS = int(os.environ["ORDER_RETENTION_DAYS"])
MALFORMED = (
    'InvalidRestaurantResponse: the answer must be {"isAccepted": true}, {"isAccepted": false} or {"isCancelled": true}'
    ', in fewer than 60,000 characters of JSON'
)
METRICS = {
    "ACCEPTED": "OrdersAccepted",
    "REJECTED": "OrdersRejected",
    "CANCELLED": "OrdersCancelled",
    "TIMED_OUT": "OrdersTimedOut",
    "FAILED": "OrdersFailed",
}

RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.I)

dynamodb = client("dynamodb")


def one_line(text):
    return " ".join("".join(c if is_printable(c) else " " for c in text).split())


def reason_of(status, result):
    """Why an order has a status: on one line, the restaurant's reason, at most 500 characters, or its failure, whole."""
    if status in ("REJECTED", "CANCELLED"):
        answer = result.get("notifyRestaurantResult")
        given = answer.get("reason") if isinstance(answer, dict) else None
        if not isinstance(given, str):
            return None
        return one_line(given)[:500].rstrip() or None
    if status == "FAILED":
        if (failed := result.get("failure")) is None:
            return MALFORMED
        said = [one_line(part) for part in (failed.get("Error"), failed.get("Cause")) if isinstance(part, str)]
        return ": ".join(part for part in said if part) or "The restaurant gave no reason"
    return None


def ready_at_of(status, event):
    """When an accepted order is ready, as the restaurant wrote it: from the answer on, within a day, give or take a minute."""
    answer = event["result"].get("notifyRestaurantResult")
    given = answer.get("ready_at") if status == "ACCEPTED" and isinstance(answer, dict) else None
    if not (isinstance(given, str) and RFC_3339.fullmatch(given)):
        return None
    try:
        until_ready = datetime.fromisoformat(given) - datetime.fromisoformat(event["answered_at"])
    except ValueError:
        return None
    minute = timedelta(minutes=1)
    return given if -minute <= until_ready <= timedelta(days=1) + minute else None


def decided(status, reason, ready_at):
    """What the state machine gets: without what there is none of."""
    decision = {"status": status, "status_reason": reason, "ready_at": ready_at}
    return {name: value for name, value in decision.items() if value is not None}


@served
def handler(event, metrics):
    order_id, execution_arn, status = event["order_id"], event["execution_arn"], event["status"]
    if status not in METRICS:
        raise Misconfigured(f"no order moves to {status}")
    update = "SET #status = :status, updated_at = :updated_at"
    values = {
        ":status": {"S": status},
        ":updated_at": {"S": event["updated_at"]},
        ":predecessor": {"S": "PLACED"},
        ":execution_arn": {"S": execution_arn},
    }
    if (reason := reason_of(status, event["result"])) is not None:
        update += ", status_reason = :status_reason"
        values[":status_reason"] = {"S": reason}
    if (ready_at := ready_at_of(status, event)) is not None:
        update += ", ready_at = :ready_at"
        values[":ready_at"] = {"S": ready_at}
    if RETENTION_DAYS:
        update += ", expires_at = :expires_at"
        values[":expires_at"] = {"N": str(int(time.time()) + RETENTION_DAYS * 86400)}
    try:
        dynamodb.update_item(
            TableName=TABLE,
            Key={"order_id": {"S": order_id}},
            UpdateExpression=update,
            ConditionExpression="#status = :predecessor AND execution_arn = :execution_arn",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as refused:
        stored = refused.response.get("Item")
        if not stored:
            raise OrderNotFound(f"there is no order {order_id}") from None
        if stored["execution_arn"]["S"] != execution_arn:
            raise StatusConflict(f"order {order_id} belongs to another execution and is left as it is") from None
        if stored["status"]["S"] != status:
            raise StatusConflict(
                f"order {order_id} is {stored['status']['S']} already and cannot become {status}"
            ) from None
        return decided(status, *(stored.get(name, {}).get("S") for name in ("status_reason", "ready_at")))
    except (ClientError, BotoCoreError) as error:
        raise failure("updating the order", error, StoreUnavailable) from None
    metrics[METRICS[status]] = 1
    if answered_at := event.get("answered_at"):
        took = datetime.fromisoformat(answered_at) - datetime.fromisoformat(event["asked_at"])
        metrics["RestaurantResponseTime"] = took / timedelta(milliseconds=1)
    return decided(status, reason, ready_at)
