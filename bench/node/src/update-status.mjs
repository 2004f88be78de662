// `update-status`: moves an order to its final status.

import { ConditionalCheckFailedException, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { WorkflowError, clientConfig, failure, served } from "./functions.mjs";

const METRICS = {
  ACCEPTED: "OrdersAccepted",
  REJECTED: "OrdersRejected",
  TIMED_OUT: "OrdersTimedOut",
  FAILED: "OrdersFailed",
};

const TableName = process.env.ORDERS_TABLE;
const dynamodb = new DynamoDBClient(clientConfig);

export const handler = served(async (event, metrics) => {
  const { order_id, execution_arn, status, status_reason, updated_at, response_ms } = event;
  if (!Object.hasOwn(METRICS, status)) {
    throw new WorkflowError("Misconfigured", `no order moves to ${status}`);
  }
  const reason = status_reason == null ? {} : { ":status_reason": { S: status_reason } };
  try {
    await dynamodb.send(
      new UpdateItemCommand({
        TableName,
        Key: { order_id: { S: order_id } },
        UpdateExpression:
          "SET #status = :status, updated_at = :updated_at" +
          (status_reason == null ? "" : ", status_reason = :status_reason"),
        ConditionExpression: "#status = :predecessor AND execution_arn = :execution_arn",
        ExpressionAttributeNames: { "#status": "status" },
        ExpressionAttributeValues: {
          ":status": { S: status },
          ":updated_at": { S: updated_at },
          ":predecessor": { S: "PLACED" },
          ":execution_arn": { S: execution_arn },
          ...reason,
        },
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw failure("updating the order", error, "StoreUnavailable");
    }
    if (!error.Item) {
      throw new WorkflowError("OrderNotFound", `there is no order ${order_id}`);
    }
    if (error.Item.execution_arn.S !== execution_arn) {
      throw new WorkflowError(
        "StatusConflict",
        `order ${order_id} belongs to another execution and is left as it is`,
      );
    }
    if (error.Item.status.S !== status) {
      throw new WorkflowError(
        "StatusConflict",
        `order ${order_id} is ${error.Item.status.S} already and cannot become ${status}`,
      );
    }
    return { order_id, status };
  }
  metrics[METRICS[status]] = 1;
  if (response_ms != null) {
    metrics.RestaurantResponseTime = response_ms;
  }
  return { order_id, status };
});
