// `notify-user`: tells the customer how the order ended.

import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { WorkflowError, clientConfig, failure, served } from "./functions.mjs";

const MESSAGES = {
  ACCEPTED: "Order confirmed",
  REJECTED: "Order declined",
  CANCELLED: "Order cancelled",
  TIMED_OUT: "Order expired",
  FAILED: "Order could not be processed",
};

const TopicArn = process.env.USER_TOPIC_ARN;
const sns = new SNSClient(clientConfig);

// A time of RFC 3339 to the minute, with the offset that it was given with.
function forPeople(at) {
  const offset = at.slice(19).replace(/^\.?[0-9]*/, "");
  return `${at.slice(0, 10)} ${at.slice(11, 16)} ${/^z$/i.test(offset) ? "UTC" : offset}`;
}

export const handler = served(async (event) => {
  const { order_id, customer_id, restaurant_id, status, status_reason } = event;
  if (!Object.hasOwn(MESSAGES, status)) {
    throw new WorkflowError("Misconfigured", `customers are not told of ${status}`);
  }
  const message = MESSAGES[status];
  const reason = (["REJECTED", "CANCELLED"].includes(status) && status_reason) || undefined;
  const ready_at = event.ready_at ?? undefined;
  const ready = ready_at ? `, ready at ${forPeople(ready_at)}` : "";
  const sentence = `${message}${ready}: ${order_id}.` + (reason ? ` Reason: ${reason}` : "");
  const forMachines = JSON.stringify({
    order_id,
    customer_id,
    restaurant_id,
    status,
    message,
    status_reason: reason,
    ready_at,
  });
  try {
    const published = await sns.send(
      new PublishCommand({
        TopicArn,
        Subject: message,
        MessageStructure: "json",
        Message: JSON.stringify({ default: forMachines, email: sentence, sms: sentence }),
        MessageAttributes: {
          customer_id: { DataType: "String", StringValue: customer_id },
          status: { DataType: "String", StringValue: status },
        },
      }),
    );
    return { message_id: published.MessageId };
  } catch (error) {
    throw failure("notifying the customer", error, "NotificationUnavailable");
  }
});
