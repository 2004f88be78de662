// `notify-user`: tells the customer how the order ended.

import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { WorkflowError, clientConfig, failure, served } from "./functions.mjs";

const MESSAGES = {
  ACCEPTED: "Order confirmed",
  REJECTED: "Order declined",
  TIMED_OUT: "Order expired",
  FAILED: "Order could not be processed",
};

const TopicArn = process.env.USER_TOPIC_ARN;
const sns = new SNSClient(clientConfig);

export const handler = served(async ({ order_id, customer_id, restaurant_id, status, status_reason }) => {
  if (!Object.hasOwn(MESSAGES, status)) {
    throw new WorkflowError("Misconfigured", `customers are not told of ${status}`);
  }
  const message = MESSAGES[status];
  const reason = (status === "REJECTED" && status_reason) || undefined;
  const sentence = `${message}: ${order_id}.` + (reason ? ` Reason: ${reason}` : "");
  const forMachines = JSON.stringify({
    order_id,
    customer_id,
    restaurant_id,
    status,
    message,
    status_reason: reason,
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
