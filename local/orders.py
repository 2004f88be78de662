"""An order from its placing to its end, as the demo, the tests in Python, the benchmarks and the costs need it."""

import json

from stack import ROOT, StackError, aws, until

# What the Rust types say, as `make schemas` writes it.
FACTS = json.loads((ROOT / "schemas" / "facts.json").read_text())
EVENT_SOURCE = FACTS["event_source"]
# What the customer is told of each final status.
MESSAGES = {each["name"]: each["customer_message"] for each in FACTS["statuses"] if each["customer_message"]}
# How many seconds the copied state machine waits for the restaurant.
SHORT_TIMEOUT = 5


def example(name="accepted", **changes):
    """An order of the folder `events`, with other values for some of its fields."""
    return json.loads((ROOT / "events" / f"{name}.json").read_text()) | changes


def queue(name):
    """Makes a queue to which SNS and EventBridge may send; gives its URL and ARN."""
    url = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes=open_queue(arn))
    return url, arn


def open_queue(arn):
    """The attributes by which a queue lets SNS and EventBridge send to it."""
    senders = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    allowed = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": arn}
    return {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})}


def call(service, operation, **arguments):
    """Calls AWS by boto3."""
    return getattr(aws(service), operation)(**arguments)


class Orders:
    """Places orders on a stack and answers for their restaurants. `call` calls AWS, as the function `call` does."""

    def __init__(self, outputs, call=call):
        self.outputs, self.call = outputs, call

    def place(self, order, machine=None):
        """Starts the execution that is named by the order's id; gives its ARN."""
        machine = machine or self.outputs["StateMachineArn"]
        named = {"stateMachineArn": machine, "name": order["order_id"]}
        return self.call("stepfunctions", "start_execution", **named, input=json.dumps(order))["executionArn"]

    def item(self, order_id):
        """The order's item in the table of orders, with DynamoDB's types, or None."""
        return self._read("OrdersTableName", {"order_id": order_id})

    def row(self, order):
        """The order's row in the table of open orders, with DynamoDB's types, or None."""
        return self._read("OpenOrdersTableName", {name: order[name] for name in ("restaurant_id", "order_id")})

    def row_with(self, field, order):
        """The order's row in the table of open orders, once it has a field."""

        def look():
            row = self.row(order)
            return row if row and field in row else None

        return until(look, f"{field} of {order['order_id']} in the table of open orders")

    def token(self, order):
        """The task token with which the order's restaurant may answer, once it is asked."""
        return self.row_with("task_token", order)["task_token"]["S"]

    def answer(self, token, answer):
        """Answers for the restaurant, or reports its failure: `answer` is then a pair of error and cause."""
        if isinstance(answer, tuple):
            error, cause = answer
            self.call("stepfunctions", "send_task_failure", taskToken=token, error=error, cause=cause)
        else:
            self.call("stepfunctions", "send_task_success", taskToken=token, output=json.dumps(answer))

    def end(self, execution):
        """What became of an execution, once it has ended."""

        def look():
            found = self.call("stepfunctions", "describe_execution", executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return until(look, f"end of {execution}")

    def impatient_machine(self):
        """Copies the deployed state machine, with seconds instead of minutes for the restaurant to answer; gives its ARN."""
        deployed = {"stateMachineArn": self.outputs["StateMachineArn"]}
        deployed = self.call("stepfunctions", "describe_state_machine", **deployed)
        definition = json.dumps(impatient(json.loads(deployed["definition"])))
        named = {"name": "order-workflow-impatient", "roleArn": deployed["roleArn"]}
        return self.call("stepfunctions", "create_state_machine", **named, definition=definition)["stateMachineArn"]

    def _read(self, table, key):
        key = {name: {"S": value} for name, value in key.items()}
        return self.call("dynamodb", "get_item", TableName=self.outputs[table], Key=key).get("Item")


def impatient(definition):
    notify = definition["States"]["Notify restaurant"]
    # The deadline in the message to the restaurant is computed from the same number.
    message, deadline = notify["Arguments"]["Message"], f"{notify['TimeoutSeconds']} * 1000"
    if message.count(deadline) != 1:
        raise StackError(f"`{deadline}` is not just once in the message of `Notify restaurant`, so it was not shortened")
    notify["Arguments"]["Message"] = message.replace(deadline, f"{SHORT_TIMEOUT} * 1000")
    notify["TimeoutSeconds"] = SHORT_TIMEOUT
    return definition
