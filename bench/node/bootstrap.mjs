// Serves one function by Lambda's Runtime API, as AWS's own runtime for Node does, which is not published as a package
// without a native addon: node bootstrap.mjs save-order
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

import http from "node:http";

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, agent, path: `/2018-06-01/runtime/${path}` };
    if (body !== undefined) {
      options.headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), ...headers };
    }
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function report(path, error) {
  const body = { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? "").split("\n") };
  return call("POST", path, JSON.stringify(body), { "Lambda-Runtime-Function-Error-Type": error.name });
}

let handler;
try {
  ({ handler } = await import(`./dist/${process.argv[2]}.cjs`));
} catch (error) {
  await report("init/error", error);
  process.exit(1);
}

for (;;) {
  const next = await call("GET", "invocation/next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] ?? "";
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    invokedFunctionArn: next.headers["lambda-runtime-invoked-function-arn"],
    getRemainingTimeInMillis: () => Number(next.headers["lambda-runtime-deadline-ms"]) - Date.now(),
  };
  try {
    const result = await handler(JSON.parse(next.body), context);
    await call("POST", `invocation/${id}/response`, JSON.stringify(result ?? null));
  } catch (error) {
    await report(`invocation/${id}/error`, error);
  }
}
