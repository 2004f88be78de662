"""`update-status`: moves an order to its final status."""

import os

from botocore.exceptions import BotoCoreError, ClientError

from functions import Misconfigured, OrderNotFound, StatusConflict, StoreUnavailable, client, failure, served

TABLE = os.environ["ORDERS_TABLE"]
METRICS = {
    "ACCEPTED": "OrdersAccepted",
    "REJECTED": "OrdersRejected",
    "TIMED_OUT": "OrdersTimedOut",
    "FAILED": "OrdersFailed",
}

dynamodb = client("dynamodb")


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
    if (reason := event.get("status_reason")) is not None:
        update += ", status_reason = :status_reason"
        values[":status_reason"] = {"S": reason}
    updated = {"order_id": order_id, "status": status}
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
        return updated
    except (ClientError, BotoCoreError) as error:
        raise failure("updating the order", error, StoreUnavailable) from None
    metrics[METRICS[status]] = 1
    if (response_ms := event.get("response_ms")) is not None:
        metrics["RestaurantResponseTime"] = response_ms
    return updated
