"""What the functions share: error names, how they reach AWS, and one log line for each request."""

import functools
import json
import os
import re
import time
import unicodedata

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

ORDER_ID = re.compile("[A-Za-z0-9_-]{1,80}")
THROTTLED = {
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}


class InvalidOrder(Exception):
    def __init__(self, problems):
        self.problems = problems
        listed, length = [], 0
        for index, problem in enumerate(problems):
            length += len(problem.encode())
            if length > 24_000:
                listed.append(f"and {len(problems) - index} more")
                break
            listed.append(problem)
        count = len(problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}: {'; '.join(listed)}")


class DuplicateOrder(Exception):
    pass


class OrderNotFound(Exception):
    pass


class StatusConflict(Exception):
    pass


class StoreUnavailable(Exception):
    pass


class NotificationUnavailable(Exception):
    pass


class Misconfigured(Exception):
    pass


def client(service):
    return boto3.client(
        service,
        config=Config(
            connect_timeout=1,
            read_timeout=2.5,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )


def failure(call, error, unavailable):
    """What a failed call means: a retry may help, or the deployment is wrong."""
    if isinstance(error, ClientError):
        code = error.response["Error"].get("Code", "unknown error")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        detail = error.response["Error"].get("Message", "no detail given")
        refused = 400 <= status < 500 and status != 429 and code not in THROTTLED
        kind = Misconfigured if refused else unavailable
        return kind(f"{call} failed with {code} (HTTP {status}): {detail}")
    if isinstance(error, (HTTPClientError, ConnectionError)):
        return unavailable(f"{call} could not reach AWS")
    return Misconfigured(f"{call} could not be made")


def served(handle):
    """Makes a Lambda handler that logs one line of JSON for each request, and another one, in CloudWatch's embedded
    metric format, where `handle` counted anything."""

    @functools.wraps(handle)
    def handler(event, context):
        metrics, outcome, error = {}, "succeeded", None
        try:
            return handle(event, metrics)
        except Exception as failed:
            outcome = type(failed).__name__
            error = str(failed)
            if isinstance(failed, InvalidOrder):
                error = f"{len(failed.problems)} problem(s) in the input"
            raise
        finally:
            log = {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "level": "ERROR" if error else "INFO",
                "message": "request served",
                "order_id": order_id_of(event),
                "execution": event.get("execution_arn"),
                "request_id": context.aws_request_id,
                "trace_id": os.environ.get("_X_AMZN_TRACE_ID"),
                "outcome": outcome,
            }
            print(json.dumps(log | ({"error": error} if error else {})))
            if metrics:
                print(json.dumps(embedded(metrics)))

    return handler


def order_id_of(event):
    order = event.get("order", event)
    order_id = order.get("order_id") if isinstance(order, dict) else None
    return order_id if is_order_id(order_id) else None


def is_order_id(value):
    return isinstance(value, str) and ORDER_ID.fullmatch(value) is not None


def is_printable(c):
    """As crates/order/src/text.rs has it."""
    code = ord(c)
    if 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE:
        return False
    if c in "\u200c\u200d" or 0xE0020 <= code <= 0xE007F:
        return True
    return unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def embedded(metrics):
    directive = {
        "Namespace": os.environ["METRICS_NAMESPACE"],
        "Dimensions": [[]],
        "Metrics": [{"Name": name, **({"Unit": "Milliseconds"} if name.endswith("Time") else {})} for name in metrics],
    }
    return {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}, **metrics}
