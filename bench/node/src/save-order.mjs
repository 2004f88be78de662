// `save-order`: validates an order and stores it as `PLACED`.

import { ConditionalCheckFailedException, DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import { CODES } from "./currencies.mjs";
import { WorkflowError, clientConfig, failure, invalidOrder, isOrderId, isPrintable, served } from "./functions.mjs";

const MAX_UNIT_AMOUNT = 10_000_000_000;
const RESTAURANT = /^(?! )[A-Za-z0-9 _.:/=+@-]{1,80}(?<! )$/;

const TableName = process.env.ORDERS_TABLE;
const retentionDays = Number(process.env.ORDER_RETENTION_DAYS);
const dynamodb = new DynamoDBClient(clientConfig);

const length = (text) => [...text].length;

const identifier = (value) =>
  isOrderId(value) ? null : "must be a string of 1 to 80 characters out of A-Z a-z 0-9 - _";

const restaurant = (value) =>
  typeof value === "string" && RESTAURANT.test(value)
    ? null
    : "must be a string of 1 to 80 characters out of A-Z a-z 0-9 space _ . : / = + - @, no space at its ends";

const customer = (value) =>
  typeof value === "string" && isPrintable(value) && value.trim() === value && length(value) >= 1 && length(value) <= 80
    ? null
    : "must be a string of 1 to 80 characters that can be printed, no space at its ends";

const text = (minimum, maximum) => (value) =>
  typeof value === "string" &&
  isPrintable(value.replace(/[\t\n\r]/g, "")) &&
  length(value) >= minimum &&
  length(value) <= maximum
    ? null
    : `must be a string of ${minimum} to ${maximum} characters that can be printed`;

const iso4217 = (value) => (CODES.has(value) ? null : "must be a currency code of ISO 4217, such as EUR");

const wholeNumber = (minimum, maximum) => (value) =>
  Number.isInteger(value) && value >= minimum && value <= maximum
    ? null
    : `must be a whole number from ${minimum} to ${maximum}`;

const ITEM_RULES = {
  name: text(1, 200),
  quantity: wholeNumber(1, 999),
  unit_amount: wholeNumber(0, MAX_UNIT_AMOUNT),
};
const ORDER_RULES = {
  currency: iso4217,
  customer_id: customer,
  items: null,
  note: text(0, 500),
  order_id: identifier,
  restaurant_id: restaurant,
};

// Every broken rule, each with the path of its field: the known fields by name, then the unknown ones.
function* problemsOf(value, rules, path) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    yield `${path || "order"} must be a JSON object`;
    return;
  }
  const prefix = path ? `${path}.` : "";
  for (const [name, rule] of Object.entries(rules)) {
    const field = value[name];
    if (field === undefined || field === null) {
      if (name !== "note") {
        yield `${prefix}${name} is required`;
      }
    } else if (name === "items") {
      if (Array.isArray(field) && field.length >= 1 && field.length <= 100) {
        for (const [index, item] of field.entries()) {
          yield* problemsOf(item, ITEM_RULES, `items[${index}]`);
        }
      } else {
        yield "items must be a list of 1 to 100 entries";
      }
    } else {
      const problem = rule(field);
      if (problem) {
        yield `${prefix}${name} ${problem}`;
      }
    }
  }
  for (const name of Object.keys(value).sort()) {
    if (!Object.hasOwn(rules, name)) {
      yield `${prefix}${JSON.stringify([...name].slice(0, 40).join("")).slice(1, -1)} is not a field`;
    }
  }
}

// An absent note is undefined, and so left out of the JSON.
const saved = ({ order_id, customer_id, restaurant_id, currency, items, note, total_amount, placed_at }) => ({
  summary: { order_id, customer_id, restaurant_id, currency, total_amount, placed_at },
  offer: { order_id, restaurant_id, items, currency, total_amount, note },
});

export const handler = served(async ({ order, execution_arn, placed_at }, metrics) => {
  const problems = [...problemsOf(order, ORDER_RULES, "")];
  if (problems.length > 0) {
    metrics.OrdersInvalid = 1;
    throw invalidOrder(problems);
  }
  const { note, ...required } = order;
  const placed = {
    ...required,
    ...(note == null ? {} : { note }),
    status: "PLACED",
    total_amount: order.items.reduce((total, { quantity, unit_amount }) => total + quantity * unit_amount, 0),
    placed_at,
    updated_at: placed_at,
    execution_arn,
    ...(retentionDays > 0 && { expires_at: Math.floor(Date.now() / 1000) + retentionDays * 86_400 }),
  };
  try {
    await dynamodb.send(
      new PutItemCommand({
        TableName,
        Item: marshall(placed),
        ConditionExpression: "attribute_not_exists(order_id)",
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw failure("storing the order", error, "StoreUnavailable");
    }
    const stored = error.Item ? unmarshall(error.Item) : {};
    if (stored.execution_arn !== execution_arn) {
      metrics.OrdersDuplicate = 1;
      throw new WorkflowError(
        "DuplicateOrder",
        `order ${order.order_id} was already placed by another execution and is left as it is`,
      );
    }
    return saved(stored);
  }
  metrics.OrdersPlaced = 1;
  return saved(placed);
});
