// What the functions share: error names, how they reach AWS, and one log line for each request.

const THROTTLED = new Set([
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
]);

// The name is the errorType that the state machine matches.
export class WorkflowError extends Error {
  constructor(name, message, logged = message) {
    super(message);
    this.name = name;
    this.logged = logged;
  }
}

export function invalidOrder(problems) {
  const listed = [];
  let length = 0;
  for (const [index, problem] of problems.entries()) {
    length += Buffer.byteLength(problem);
    if (length > 24_000) {
      listed.push(`and ${problems.length - index} more`);
      break;
    }
    listed.push(problem);
  }
  const count = problems.length;
  return new WorkflowError(
    "InvalidOrder",
    `${count} problem${count === 1 ? "" : "s"}: ${listed.join("; ")}`,
    `${count} problem(s) in the input`,
  );
}

export const clientConfig = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_500, throwOnRequestTimeout: true },
};

// What a failed call means: a retry may help, or the deployment is wrong.
export function failure(call, error, unavailable) {
  const status = error.$metadata?.httpStatusCode;
  if (status === undefined) {
    return new WorkflowError(unavailable, `${call} could not reach AWS`);
  }
  const refused = status >= 400 && status < 500 && status !== 429 && !THROTTLED.has(error.name);
  return new WorkflowError(
    refused ? "Misconfigured" : unavailable,
    `${call} failed with ${error.name} (HTTP ${status}): ${error.message}`,
  );
}

// A Lambda handler that logs one line of JSON for each request, and another one, in CloudWatch's embedded metric
// format, where `handle` counted anything.
export function served(handle) {
  return async (event, context) => {
    const metrics = {};
    let outcome = "succeeded";
    let error;
    try {
      return await handle(event, metrics);
    } catch (failed) {
      outcome = failed.name;
      error = failed.logged ?? failed.message;
      throw failed;
    } finally {
      const { order_id } = event.order ?? event;
      const log = {
        timestamp: new Date().toISOString(),
        level: error ? "ERROR" : "INFO",
        message: "request served",
        order_id: isOrderId(order_id) ? order_id : null,
        execution: event.execution_arn,
        request_id: context.awsRequestId,
        trace_id: process.env._X_AMZN_TRACE_ID,
        outcome,
        error,
      };
      process.stdout.write(`${JSON.stringify(log)}\n`);
      if (Object.keys(metrics).length > 0) {
        process.stdout.write(`${JSON.stringify(embedded(metrics))}\n`);
      }
    }
  };
}

export function isOrderId(value) {
  return typeof value === "string" && /^[A-Za-z0-9_-]{1,80}$/.test(value);
}

// As crates/order/src/text.rs has it.
export const UNPRINTABLE =
  /(?![\u200c\u200d\u{e0020}-\u{e007f}])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]/gu;

export const isPrintable = (text) => text.search(UNPRINTABLE) < 0;

function embedded(metrics) {
  const Metrics = Object.keys(metrics).map((Name) =>
    Name.endsWith("Time") ? { Name, Unit: "Milliseconds" } : { Name },
  );
  const directive = { Namespace: process.env.METRICS_NAMESPACE, Dimensions: [[]], Metrics };
  return { _aws: { Timestamp: Date.now(), CloudWatchMetrics: [directive] }, ...metrics };
}
