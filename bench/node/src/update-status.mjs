// `update-status`: decides what there is to say of an order's final status, and records both.

import { ConditionalCheckFailedException, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { UNPRINTABLE, WorkflowError, clientConfig, failure, served } from "./functions.mjs";

const METRICS = {
  ACCEPTED: "OrdersAccepted",
  REJECTED: "OrdersRejected",
  CANCELLED: "OrdersCancelled",
  TIMED_OUT: "OrdersTimedOut",
  FAILED: "OrdersFailed",
};

const MALFORMED =
  'InvalidRestaurantResponse: the answer must be {"isAccepted": true}, {"isAccepted": false} or {"isCancelled": true}, in fewer than 60,000 characters of JSON';
const RFC_3339 = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$/i;
const DAY = 24 * 60 * 60 * 1000;
const MINUTE = 60 * 1000;
const TableName = process.env.ORDERS_TABLE;
const retentionDays = Number(process.env.ORDER_RETENTION_DAYS);
const dynamodb = new DynamoDBClient(clientConfig);

const oneLine = (text) => text.replace(UNPRINTABLE, " ").split(/\s+/).filter(Boolean).join(" ");

// Why an order has a status: on one line, the restaurant's reason, at most 500 characters, or its failure, whole.
function reasonOf(status, { notifyRestaurantResult: answer, failure: failed }) {
  if (["REJECTED", "CANCELLED"].includes(status) && typeof answer?.reason === "string") {
    return [...oneLine(answer.reason)].slice(0, 500).join("").trimEnd() || null;
  }
  if (status === "FAILED") {
    if (failed == null) return MALFORMED;
    const said = [failed.Error, failed.Cause].filter((part) => typeof part === "string").map(oneLine);
    return said.filter(Boolean).join(": ") || "The restaurant gave no reason";
  }
  return null;
}

// When an accepted order is ready, as the restaurant wrote it: from the answer on, within a day, give or take a minute.
function readyAtOf(status, { result: { notifyRestaurantResult: answer }, answered_at }) {
  const given = status === "ACCEPTED" && answer?.ready_at;
  if (typeof given !== "string" || !RFC_3339.test(given)) {
    return null;
  }
  const untilReady = Date.parse(given) - Date.parse(answered_at);
  return untilReady >= -MINUTE && untilReady <= DAY + MINUTE ? given : null;
}

export const handler = served(async (event, metrics) => {
  const { order_id, execution_arn, status, asked_at, answered_at, updated_at } = event;
  if (!Object.hasOwn(METRICS, status)) {
    throw new WorkflowError("Misconfigured", `no order moves to ${status}`);
  }
  const status_reason = reasonOf(status, event.result);
  const sets = ["#status = :status", "updated_at = :updated_at"];
  const more = {};
  if (status_reason !== null) {
    sets.push("status_reason = :status_reason");
    more[":status_reason"] = { S: status_reason };
  }
  const ready_at = readyAtOf(status, event);
  if (ready_at !== null) {
    sets.push("ready_at = :ready_at");
    more[":ready_at"] = { S: ready_at };
  }
  if (retentionDays > 0) {
    sets.push("expires_at = :expires_at");
    more[":expires_at"] = { N: String(Math.floor(Date.now() / 1000) + retentionDays * 86_400) };
  }
  try {
    await dynamodb.send(
      new UpdateItemCommand({
        TableName,
        Key: { order_id: { S: order_id } },
        UpdateExpression: `SET ${sets.join(", ")}`,
        ConditionExpression: "#status = :predecessor AND execution_arn = :execution_arn",
        ExpressionAttributeNames: { "#status": "status" },
        ExpressionAttributeValues: {
          ":status": { S: status },
          ":updated_at": { S: updated_at },
          ":predecessor": { S: "PLACED" },
          ":execution_arn": { S: execution_arn },
          ...more,
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
    const { status_reason, ready_at } = error.Item;
    return { status, status_reason: status_reason?.S, ready_at: ready_at?.S };
  }
  metrics[METRICS[status]] = 1;
  if (answered_at) {
    metrics.RestaurantResponseTime = Date.parse(answered_at) - Date.parse(asked_at);
  }
  // What is undefined is left out of the JSON.
  return { status, status_reason: status_reason ?? undefined, ready_at: ready_at ?? undefined };
});
