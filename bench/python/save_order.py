"""`save-order`: validates an order and stores it as `PLACED`."""

import json
import os
import time
import re

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from currencies import CODES
from functions import (
    DuplicateOrder,
    InvalidOrder,
    StoreUnavailable,
    client,
    failure,
    is_order_id,
    is_printable,
    served,
)

TABLE = os.environ["ORDERS_TABLE"]
RETENTION_DAYS = int(os.environ["ORDER_RETENTION_DAYS"])
SUMMARY = ("order_id", "customer_id", "restaurant_id", "currency", "total_amount", "placed_at")
OFFER = ("order_id", "restaurant_id", "items", "currency", "total_amount", "note")
MAX_UNIT_AMOUNT = 10_000_000_000
NOT_IN_A_TAG = re.compile("[^A-Za-z0-9 _.:/=+@-]")

dynamodb = client("dynamodb")
serialize, deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def identifier(value):
    if not is_order_id(value):
        return "must be a string of 1 to 80 characters out of A-Z a-z 0-9 - _"


def restaurant(value):
    if not (isinstance(value, str) and 1 <= len(value) <= 80 and not NOT_IN_A_TAG.search(value) and value == value.strip()):
        return "must be a string of 1 to 80 characters out of A-Z a-z 0-9 space _ . : / = + - @, no space at its ends"


def customer(value):
    if not (
        isinstance(value, str) and 1 <= len(value) <= 80 and value == value.strip() and all(map(is_printable, value))
    ):
        return "must be a string of 1 to 80 characters that can be printed, no space at its ends"


def text(minimum, maximum):
    def rule(value):
        if not (
            isinstance(value, str)
            and minimum <= len(value) <= maximum
            and all(is_printable(c) or c in "\t\n\r" for c in value)
        ):
            return f"must be a string of {minimum} to {maximum} characters that can be printed"

    return rule


def iso_4217(value):
    if not (isinstance(value, str) and value in CODES):
        return "must be a currency code of ISO 4217, such as EUR"


def whole_number(minimum, maximum):
    def rule(value):
        # JSON Schema takes 2.0 for whole, too.
        whole = type(value) is int or type(value) is float and value.is_integer()
        if not (whole and minimum <= value <= maximum):
            return f"must be a whole number from {minimum} to {maximum}"

    return rule


ITEM_RULES = {
    "name": text(1, 200),
    "quantity": whole_number(1, 999),
    "unit_amount": whole_number(0, MAX_UNIT_AMOUNT),
}
ORDER_RULES = {
    "currency": iso_4217,
    "customer_id": customer,
    "items": None,
    "note": text(0, 500),
    "order_id": identifier,
    "restaurant_id": restaurant,
}


def problems_of(value, rules, path):
    """Every broken rule, each with the path of its field: the known fields by name, then the unknown ones."""
    if not isinstance(value, dict):
        yield f"{path or 'order'} must be a JSON object"
        return
    prefix = f"{path}." if path else ""
    for name, rule in rules.items():
        field = value.get(name)
        if field is None:
            if name != "note":
                yield f"{prefix}{name} is required"
        elif name == "items":
            if isinstance(field, list) and 1 <= len(field) <= 100:
                for index, item in enumerate(field):
                    yield from problems_of(item, ITEM_RULES, f"items[{index}]")
            else:
                yield "items must be a list of 1 to 100 entries"
        elif problem := rule(field):
            yield f"{prefix}{name} {problem}"
    for name in sorted(value.keys() - rules.keys()):
        yield f"{prefix}{json.dumps(name[:40])[1:-1]} is not a field"


@served
def handler(event, metrics):
    order = event["order"]
    if problems := list(problems_of(order, ORDER_RULES, "")):
        metrics["OrdersInvalid"] = 1
        raise InvalidOrder(problems)
    items = [item | {name: int(item[name]) for name in ("quantity", "unit_amount")} for item in order["items"]]
    stored = {name: value for name, value in order.items() if value is not None} | {
        "items": items,
        "status": "PLACED",
        "total_amount": sum(item["quantity"] * item["unit_amount"] for item in items),
        "placed_at": event["placed_at"],
        "updated_at": event["placed_at"],
        "execution_arn": event["execution_arn"],
    }
    if RETENTION_DAYS:
        stored["expires_at"] = int(time.time()) + RETENTION_DAYS * 86400
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={name: serialize(value) for name, value in stored.items()},
            ConditionExpression="attribute_not_exists(order_id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        metrics["OrdersPlaced"] = 1
    except dynamodb.exceptions.ConditionalCheckFailedException as taken:
        found = {name: deserialize(value) for name, value in taken.response.get("Item", {}).items()}
        if found.get("execution_arn") != event["execution_arn"]:
            metrics["OrdersDuplicate"] = 1
            raise DuplicateOrder(
                f"order {order['order_id']} was already placed by another execution and is left as it is"
            ) from None
        # What is stored is what this execution stored before: its input does not change.
    except (ClientError, BotoCoreError) as error:
        raise failure("storing the order", error, StoreUnavailable) from None
    return {
        "summary": {name: stored[name] for name in SUMMARY},
        "offer": {name: stored[name] for name in OFFER if name in stored},
    }
