// Evaluates every expression of the definition with the reference implementation of JSONata, in the version that AWS names:
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
//
// On AWS, an expression that evaluates to nothing fails its state. The local AWS has another engine, which cannot show
// that. So this evaluates the definition state by state, with each answer and each error that a task may give.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const require = createRequire(new URL("../.local/package.json", import.meta.url));
const jsonata = require("jsonata");
assert.equal(require("jsonata/package.json").version, "2.0.6", "the version of JSONata that AWS names");

const { States: states, StartAt } = JSON.parse(
  readFileSync(new URL("../statemachine/order.asl.json", import.meta.url)),
);
const ORDER = {
  order_id: "ord-1001",
  customer_id: "cust-42",
  restaurant_id: "rest-7",
  currency: "EUR",
  items: [{ name: "Margherita", quantity: 2, unit_amount: 1250 }],
  note: "No basil, please",
};
const { items, note, ...SUMMARY } = { ...ORDER, total_amount: 2500, placed_at: "2026-01-31T12:00:00.000Z" };
const ENTERED = "2026-01-31T12:00:01.000Z";
/** How long the restaurant is waited for, which the deadline that it is told must be. */
const WAIT = states["Notify restaurant"].TimeoutSeconds * 1000;
const evaluated = new Set();

class QueryEvaluationError extends Error {}

/** The value of a field: each string in {% %} evaluated, whatever holds it kept. */
async function value(field, where, scope) {
  if (Array.isArray(field)) return Promise.all(field.map((inner, i) => value(inner, `${where}[${i}]`, scope)));
  if (field !== null && typeof field === "object") {
    const entries = Object.entries(field).map(async ([key, inner]) => [key, await value(inner, `${where}.${key}`, scope)]);
    return Object.fromEntries(await Promise.all(entries));
  }
  const expression = expressionIn(field);
  if (expression === undefined) return field;
  evaluated.add(where);
  let result;
  try {
    result = await jsonata(expression).evaluate(undefined, scope);
  } catch (error) {
    throw new QueryEvaluationError(`${where}: ${error.message}`);
  }
  if (result === undefined) throw new QueryEvaluationError(`${where} evaluates to nothing`);
  // Through JSON: JSONata's sequences are arrays with additional properties.
  return JSON.parse(JSON.stringify(result));
}

/** Runs an execution. `returns` gives, for a state, what its task returns or throws as { Error, Cause }. */
async function execute(input, { redriven = false, returns }) {
  const variables = {};
  const sent = {};
  const outputs = {};
  const Execution = { Id: "arn:execution", Input: input, StartTime: SUMMARY.placed_at };
  if (redriven) Execution.RedriveTime = "2026-01-31T12:20:00.000Z";
  const context = { Execution, State: { EnteredTime: ENTERED }, Task: { Token: "token" } };
  for (let name = StartAt; ; ) {
    const state = states[name];
    const scope = (more) => ({ ...variables, states: { input, context, ...more } });
    let step = state;
    let at = name;
    let now = scope({});
    if (state.Type === "Choice") {
      for (const [i, rule] of state.Choices.entries()) {
        const holds = await value(rule.Condition, `${name} rule ${i + 1}`, now);
        assert.equal(typeof holds, "boolean", `${name} rule ${i + 1} is neither true nor false`);
        if (holds) {
          [step, at] = [rule, `${name} rule ${i + 1}`];
          break;
        }
      }
    } else {
      sent[name] = await value(state.Arguments, `${name} Arguments`, now);
      const result = returns[name];
      if (result?.thrown) {
        const i = (state.Catch ?? []).findIndex(({ ErrorEquals: names }) =>
          names.some((known) => known === result.thrown.Error || known === "States.ALL"));
        if (i < 0) throw new Error(`${name}: ${result.thrown.Error}`);
        [step, at] = [state.Catch[i], `${name} catcher ${i + 1}`];
        now = scope({ errorOutput: result.thrown });
      } else {
        now = scope({ result });
      }
    }
    const assigned = await value(step.Assign ?? {}, `${at} Assign`, now);
    // Without `Output`, a state's output is its result, and that of a Choice state its input.
    if (step.Output !== undefined) input = await value(step.Output, `${at} Output`, now);
    outputs[name] = input;
    Object.assign(variables, assigned);
    if (state.End) return { output: input, outputs, sent, variables };
    name = step.Next;
    // No state comes twice.
    if (name in outputs) throw new Error(`${at} leads back to ${name}`);
  }
}

/** The same for what comes back from the restaurant; the functions return what they do for a status with these details. */
function order(response, { input = ORDER, redriven, reason = null, ready = null, status }) {
  return execute(input, {
    redriven,
    returns: {
      "Save order": { Payload: SUMMARY },
      "Notify restaurant": response,
      "Update order status": { Payload: { status, status_reason: reason, ready_at: ready } },
      "Notify user": { Payload: {} },
      "Publish ORDER_PLACED event": { FailedEntryCount: 0 },
      "Publish status event": { FailedEntryCount: 0 },
    },
  });
}

const thrown = (Error, Cause) => ({ thrown: { ...(Error !== undefined && { Error }), ...(Cause !== undefined && { Cause }) } });
const large = "x".repeat(262_000);
const CASES = [
  ["ACCEPTED", { isAccepted: true }],
  ["ACCEPTED", { isAccepted: true, reason: "With pleasure" }],
  ["ACCEPTED", { isAccepted: true, padding: large }],
  ["ACCEPTED", { isAccepted: true, ready_at: "2026-01-31T12:25:00Z" }],
  ["ACCEPTED", { isAccepted: true, ready_at: "2026-01-31T12:25:00Z", padding: large }],
  ["ACCEPTED", { isAccepted: true, ready_at: [large] }],
  ["REJECTED", { isAccepted: false }],
  ["REJECTED", { isAccepted: false, reason: null }],
  ["REJECTED", { isAccepted: false, reason: "Out of\n\ud83d \u0000dough 🍕" }],
  ["REJECTED", { isAccepted: false, reason: ["Out of dough"] }],
  ["REJECTED", { isAccepted: false, reason: large }],
  ["REJECTED", { isAccepted: false, reason: "Out of dough", padding: large }],
  ["CANCELLED", { isCancelled: true }],
  ["CANCELLED", { isCancelled: true, reason: "The customer called" }],
  ["CANCELLED", { isCancelled: true, reason: null }],
  ["CANCELLED", { isCancelled: true, reason: large }],
  ["CANCELLED", { isCancelled: true, padding: large }],
  // Both fields, whatever their values.
  ...[true, false, null, 0, 1, "", "true", [], [true], {}, large].flatMap((value) =>
    [{ isAccepted: true, isCancelled: value }, { isAccepted: false, isCancelled: value }, { isCancelled: true, isAccepted: value }]
      .flatMap((answer) => [["FAILED", answer], ["FAILED", { ...answer, padding: large }]])),
  ...[false, null, 0, 1, "true", [], [true], {}, large].map((value) => ["FAILED", { isCancelled: value }]),
  // The largest answers: three bytes for each counted character, or six in texts that are cut.
  ["FAILED", "天".repeat(59_900)],
  ["FAILED", Object.fromEntries(["isAccepted", "isCancelled", "reason", "ready_at"].map((field) => [field, "\u0001".repeat(10_800)]))],
  ...["yes", null, {}, 0, 1, [], [true], [{ isAccepted: true }], { isAccepted: "true" }, { isAccepted: 1 }, { isAccepted: 0 },
    { isAccepted: null }, { isAccepted: [true] }, { isAccepted: [true], padding: large }, { isAccepted: large }, large,
    "\u0001".repeat(43_000), [large]].map((answer) => ["FAILED", answer]),
  ["TIMED_OUT", thrown("States.Timeout")],
  ["TIMED_OUT", thrown("States.Timeout", "600 s are over")],
  ["FAILED", thrown("RestaurantUnavailable", "The oven is broken")],
  ["FAILED", thrown("RestaurantUnavailable")],
  ["FAILED", thrown("States.TaskFailed", null)],
  ["FAILED", thrown("", "")],
  ["FAILED", thrown(null, null)],
  ["FAILED", thrown()],
];

const DECISIONS = [[null, null], ["why", null], [null, "2026-01-31T14:25:00+02:00"]];
let executions = 0;
for (const [status, response] of CASES) {
  // Once an answer is cut, its size no longer matters.
  const isLarge = JSON.stringify(response).length > 100_000;
  for (const redriven of isLarge ? [false] : [false, true]) {
    const what = `${JSON.stringify(response).slice(0, 80)}${redriven ? ", redriven" : ""}`;
    for (const [reason, ready] of isLarge ? DECISIONS.slice(0, 1) : DECISIONS) {
      executions += 1;
      const { output, outputs, sent, variables } = await order(response, { status, reason, ready, redriven });
      assert.deepEqual(
        sent["Save order"].Payload,
        { order: ORDER, execution_arn: "arn:execution", placed_at: SUMMARY.placed_at },
        "what save-order is sent",
      );
      const [placed] = sent["Publish ORDER_PLACED event"].Entries;
      assert.equal(placed.DetailType, "ORDER_PLACED");
      assert.deepEqual(placed.Detail, { ...SUMMARY, status: "PLACED" }, "the event ORDER_PLACED");
      const { Message: { respond_by, ...asked }, MessageAttributes: attributes } = sent["Notify restaurant"];
      const { customer_id, ...shown } = ORDER;
      assert.deepEqual(asked, { ...shown, total_amount: SUMMARY.total_amount, task_token: "token" }, "what a restaurant is sent");
      assert.deepEqual(attributes, { restaurant_id: { DataType: "String", StringValue: ORDER.restaurant_id } });
      assert.equal(variables.status, status, `status for ${what}`);
      for (const [state, shown] of Object.entries(outputs)) {
        assert.equal(shown?.order_id, ORDER.order_id, `the output of ${state} does not say which order it is`);
      }
      const update = sent["Update order status"].Payload;
      assert.equal(update.order_id, ORDER.order_id);
      assert.equal(update.execution_arn, "arn:execution");
      assert.ok(Date.now() - Date.parse(update.updated_at) < 60_000, `updated_at ${update.updated_at} for ${what}`);
      assert.equal(update.status, status, `status sent to update-status for ${what}`);
      if (response?.thrown) assert.deepEqual(update.failure, response.thrown, `failure for ${what}`);
      else if (!isLarge) assert.deepEqual(update.notifyRestaurantResult, response, `the answer ${what} is not sent whole`);
      assert.ok(Buffer.byteLength(JSON.stringify(update)) < 262_144, `update-status is sent too much for ${what}`);
      assert.ok("response_ms" in update, `response_ms for ${what}`);
      const answered = status === "TIMED_OUT" ? update.answered_at === null : Date.now() - Date.parse(update.answered_at) < 60_000;
      assert.ok(answered, `answered_at ${update.answered_at} for ${what}`);
      const since = Date.now() - Date.parse(redriven ? "2026-01-31T12:20:00.000Z" : ENTERED);
      if (status !== "TIMED_OUT") {
        assert.ok(Math.abs(update.response_ms - since) < 60_000, `response_ms ${update.response_ms} for ${what}`);
      }
      const left = Date.parse(respond_by) - Date.now();
      assert.ok(left > WAIT - 60_000 && left <= WAIT, `respond_by is ${left} ms from now, the wait is ${WAIT} ms, for ${what}`);
      const said = { status, ...(reason && { status_reason: reason }), ...(ready && { ready_at: ready }) };
      assert.deepEqual(output, { order_id: ORDER.order_id, ...said }, `output for ${what}`);
      const [event] = sent["Publish status event"].Entries;
      assert.equal(event.DetailType, `ORDER_${status}`, `event for ${what}`);
      assert.deepEqual(event.Detail, { ...SUMMARY, ...said }, `event for ${what}`);
      for (const each of [placed, event]) {
        assert.deepEqual([each.Source, each.Resources], ["order-processing", ["arn:execution"]], "where an event comes from");
      }
      const told = { status, status_reason: reason, ready_at: ready, order_id: ORDER.order_id, customer_id: ORDER.customer_id,
        restaurant_id: ORDER.restaurant_id, execution_arn: "arn:execution" };
      assert.deepEqual(sent["Notify user"].Payload, told, `notify-user for ${what}`);
    }
  }
}

// A large answer keeps its fields, with their texts cut, and gets none that it did not have.
const CUT = "x".repeat(10_000);
for (const [status, answer, left] of [
  ["REJECTED", { isAccepted: false }, { isAccepted: false }],
  ["REJECTED", { isAccepted: false, reason: large }, { isAccepted: false, reason: CUT }],
  ["ACCEPTED", { isAccepted: true, ready_at: "2026-01-31T12:25:00Z" }, { isAccepted: true, ready_at: "2026-01-31T12:25:00Z" }],
  ["CANCELLED", { isCancelled: true, reason: "why" }, { isCancelled: true, reason: "why" }],
  ["FAILED", { isAccepted: true, isCancelled: null }, { isAccepted: true, isCancelled: null }],
  ["FAILED", { isAccepted: [large], isCancelled: true }, { isAccepted: null, isCancelled: true }],
  ["FAILED", {}, {}],
]) {
  const { sent } = await order({ ...answer, padding: large }, { status });
  const kept = sent["Update order status"].Payload.notifyRestaurantResult;
  assert.deepEqual(kept, left, `what is left of ${JSON.stringify(answer).slice(0, 80)}`);
}

// A failure of AWS must not count as the restaurant's.
for (const error of ["SNS.SnsException", "SNS.AuthorizationErrorException", "States.DataLimitExceeded"]) {
  await assert.rejects(order(thrown(error, "a cause"), { status: "FAILED" }), QueryEvaluationError, error);
}

for (const without of [{ ...ORDER, note: null }, { ...ORDER, note: undefined }]) {
  const { sent } = await order({ isAccepted: true }, { status: "ACCEPTED", input: without });
  assert.ok(!("note" in sent["Notify restaurant"].Message), "an absent note is sent to the restaurant");
}

/** The text of an expression, or undefined for any other value. */
function expressionIn(field) {
  return typeof field === "string" ? /^\{%([\s\S]*)%\}$/.exec(field)?.[1] : undefined;
}

/** The expressions of the definition, each with where it is, named as `value` names it. */
function* expressions() {
  function* within(field, where) {
    const expression = expressionIn(field);
    if (expression !== undefined) {
      yield [where, expression];
    } else if (field !== null && typeof field === "object") {
      for (const [key, inner] of Object.entries(field)) {
        yield* within(inner, Array.isArray(field) ? `${where}[${key}]` : `${where}.${key}`);
      }
    }
  }
  for (const [step, at] of steps()) {
    for (const field of ["Arguments", "Assign", "Output"]) yield* within(step[field], `${at} ${field}`);
    yield* within(step.Condition, at);
  }
}

/** The states, and their catchers and rules, each with its name: whatever may assign variables. */
function* steps() {
  for (const [name, state] of Object.entries(states)) {
    yield [state, name];
    for (const [i, step] of (state.Catch ?? []).entries()) yield [step, `${name} catcher ${i + 1}`];
    for (const [i, step] of (state.Choices ?? []).entries()) yield [step, `${name} rule ${i + 1}`];
  }
}

const never = [...expressions()].map(([where]) => where).filter((where) => !evaluated.has(where));
assert.deepEqual(never, [], "expressions that no case reaches");

/** The variables that a part of an expression uses and that nothing around it binds, from its syntax tree. */
function* free(node, bound) {
  if (node === null || typeof node !== "object") return;
  switch (node.type) {
    case "variable":
      if (!bound.has(node.value)) yield node.value;
      return;
    case "bind":
      bound.add(node.lhs.value);
      yield* free(node.rhs, bound);
      return;
    case "block":
      bound = new Set(bound);
      break;
    case "lambda":
      bound = new Set([...bound, ...node.arguments.map(({ value: name }) => name)]);
      break;
  }
  for (const inner of Object.values(node)) yield* free(inner, bound);
}

// On AWS, a state fails if it uses a variable that no state assigned. JSONata alone takes it for nothing. `$` and `$$` are
// the input.
const assigned = new Set(["states", "", "$", ...[...steps()].flatMap(([step]) => Object.keys(step.Assign ?? {}))]);
for (const [where, expression] of expressions()) {
  for (const name of free(jsonata(expression).ast(), new Set(assigned))) {
    const isFunction = (await jsonata(`$${name}`).evaluate(undefined)) !== undefined;
    assert.ok(isFunction, `${where} uses $${name}, which nothing assigns`);
  }
}
console.log(`${evaluated.size} expressions give what they must in ${executions} executions`);
