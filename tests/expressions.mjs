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
const OFFER = { order_id: "ord-1001", restaurant_id: "rest-7", items, currency: "EUR", total_amount: 2500, note };
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
async function execute(input, { returns }) {
  const variables = {};
  const sent = {};
  const outputs = {};
  const Execution = { Id: "arn:execution", Input: input, StartTime: SUMMARY.placed_at };
  const context = { Execution, Task: { Token: "token" } };
  for (let name = StartAt; ; ) {
    const state = states[name];
    const scope = (more) => ({ ...variables, states: { input, context, ...more } });
    let step = state;
    let at = name;
    let now = scope({});
    if (state.Type === "Choice") {
      // Unless a rule holds.
      step = { ...state, Next: state.Default };
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
    if (step.Next === undefined) throw new Error(`${at}: no rule holds`);
    name = step.Next;
    // No state comes twice.
    if (name in outputs) throw new Error(`${at} leads back to ${name}`);
  }
}

/** The same for what comes back from the restaurant, and what the functions return. */
function order(response, decision, offer = OFFER) {
  return execute(ORDER, {
    returns: {
      "Save order": { Payload: { summary: SUMMARY, offer } },
      "Notify restaurant": response,
      "Update order status": { Payload: decision },
      "Notify user": { Payload: {} },
      "Publish ORDER_PLACED event": { FailedEntryCount: 0 },
      "Publish status event": { FailedEntryCount: 0 },
    },
  });
}

const thrown = (Error, Cause) => ({ thrown: { ...(Error !== undefined && { Error }), ...(Cause !== undefined && { Cause }) } });
const large = "x".repeat(262_000);
/** How long the reason may be in an answer with nothing else that is passed on: the answer has 59,999 characters as JSON. */
const LONGEST = 59_999 - '{"reason":""}'.length;
const CASES = [
  ["ACCEPTED", { isAccepted: true }],
  ["ACCEPTED", { isAccepted: true, reason: "With pleasure" }],
  ["ACCEPTED", { isAccepted: true, ready_at: "2026-01-31T12:25:00Z" }],
  ["REJECTED", { isAccepted: false }],
  ["REJECTED", { isAccepted: false, reason: null }],
  ["REJECTED", { isAccepted: false, reason: "Out of\n\ud83d \u0000dough 🍕" }],
  ["REJECTED", { isAccepted: false, reason: ["Out of dough"] }],
  ["REJECTED", { isAccepted: false, reason: "x".repeat(59_000) }],
  ["CANCELLED", { isCancelled: true }],
  ["CANCELLED", { isCancelled: true, reason: "The customer called" }],
  ["CANCELLED", { isCancelled: true, reason: null }],
  // Both fields, whatever their values.
  ...[true, false, null, 0, 1, "", "true", [], [true], {}, large].flatMap((value) =>
    [{ isAccepted: true, isCancelled: value }, { isAccepted: false, isCancelled: value }, { isCancelled: true, isAccepted: value }]
      .map((answer) => ["FAILED", answer])),
  ...[false, null, 0, 1, "true", [], [true], {}, large].map((value) => ["FAILED", { isCancelled: value }]),
  ...["yes", null, {}, 0, 1, true, [], [true], [{ isAccepted: true }], [{ isCancelled: true }], { isAccepted: "true" },
    { isAccepted: 1 }, { isAccepted: 0 }, { isAccepted: null }, { isAccepted: [] }, { isAccepted: [true] }, { isAccepted: large },
    { reason: "why" }, large, [large]].map((answer) => ["FAILED", answer]),
  // Too large, however clear: by the text of the answer as JSON, in which an escape is as long as it is written there.
  ["FAILED", { isAccepted: true, padding: large }],
  ["FAILED", { isAccepted: false, reason: large }],
  ["FAILED", { isCancelled: true, padding: "\u0001".repeat(10_000) }],
  // The longest that are passed on: with four bytes a character, or six for one that is escaped.
  ["FAILED", { reason: "x".repeat(LONGEST) }],
  ["FAILED", { reason: "x".repeat(LONGEST + 1) }],
  ["FAILED", { reason: "🍕".repeat(LONGEST) }],
  ["FAILED", { reason: "\u0001".repeat(LONGEST / 6) }],
  ["TIMED_OUT", thrown("States.Timeout")],
  ["TIMED_OUT", thrown("States.Timeout", "600 s are over")],
  ["FAILED", thrown("RestaurantUnavailable", "The oven is broken")],
  ["FAILED", thrown("RestaurantUnavailable")],
  ["FAILED", thrown("States.TaskFailed", null)],
  ["FAILED", thrown("SNS.NotFoundException", "Topic does not exist")],
  ["FAILED", thrown("States.DataLimitExceeded", "a cause")],
  // The largest that SendTaskFailure takes.
  ["FAILED", thrown("E".repeat(256), "\u0001".repeat(32_768))],
  ["FAILED", thrown("", "")],
  ["FAILED", thrown(null, null)],
  ["FAILED", thrown()],
];

const DECISIONS = [{}, { status_reason: "why" }, { ready_at: "2026-01-31T14:25:00+02:00" }];
let executions = 0;
for (const [status, response] of CASES) {
  const json = JSON.stringify(response);
  const passed = response !== null && typeof response === "object" && !Array.isArray(response) && [...json].length < 60_000;
  for (const details of json.length > 50_000 ? DECISIONS.slice(0, 1) : DECISIONS) {
    const what = json.slice(0, 80);
    const decision = { status, ...details };
    executions += 1;
    const { output, outputs, sent, variables } = await order(response, decision);
    assert.deepEqual(
      sent["Save order"].Payload,
      { order: ORDER, execution_arn: "arn:execution", placed_at: SUMMARY.placed_at },
      "what save-order is sent",
    );
    const [placed] = sent["Publish ORDER_PLACED event"].Entries;
    assert.equal(placed.DetailType, "ORDER_PLACED");
    assert.deepEqual(placed.Detail, { ...SUMMARY, status: "PLACED" }, "the event ORDER_PLACED");
    const { Message: { respond_by, ...asked }, MessageAttributes: attributes } = sent["Notify restaurant"];
    assert.deepEqual(asked, { ...OFFER, task_token: "token" }, "what a restaurant is sent");
    assert.deepEqual(attributes, { restaurant_id: { DataType: "String", StringValue: ORDER.restaurant_id } });
    assert.equal(variables.status, status, `status for ${what}`);
    for (const [state, shown] of Object.entries(outputs)) {
      assert.equal(shown?.order_id, ORDER.order_id, `the output of ${state} does not say which order it is`);
      assert.ok(Buffer.byteLength(JSON.stringify(shown)) < 262_144, `the output of ${state} is too large for ${what}`);
    }
    const update = sent["Update order status"].Payload;
    assert.equal(update.order_id, ORDER.order_id);
    assert.equal(update.execution_arn, "arn:execution");
    assert.equal(update.status, status, `status sent to update-status for ${what}`);
    const came = response?.thrown ? { failure: response.thrown } : { notifyRestaurantResult: passed ? response : null };
    assert.deepEqual(update.result, { order_id: ORDER.order_id, ...came }, `what came back is sent otherwise for ${what}`);
    assert.ok(Buffer.byteLength(JSON.stringify(update)) < 262_144, `update-status is sent too much for ${what}`);
    for (const time of ["asked_at", "answered_at", "updated_at"]) {
      const is = status === "TIMED_OUT" && time === "answered_at" ? update[time] === null : Date.now() - Date.parse(update[time]) < 60_000;
      assert.ok(is, `${time} ${update[time]} for ${what}`);
    }
    const left = Date.parse(respond_by) - Date.now();
    assert.ok(left > WAIT - 60_000 && left <= WAIT, `respond_by is ${left} ms from now, the wait is ${WAIT} ms, for ${what}`);
    assert.deepEqual(output, { order_id: ORDER.order_id, ...decision }, `output for ${what}`);
    const [event] = sent["Publish status event"].Entries;
    assert.equal(event.DetailType, `ORDER_${status}`, `event for ${what}`);
    assert.deepEqual(event.Detail, { ...SUMMARY, ...decision }, `event for ${what}`);
    for (const each of [placed, event]) {
      assert.deepEqual([each.Source, each.Resources], ["order-processing", ["arn:execution"]], "where an event comes from");
    }
    const told = { ...SUMMARY, ...decision, execution_arn: "arn:execution" };
    assert.deepEqual(sent["Notify user"].Payload, told, `notify-user for ${what}`);
  }
}

const { note: absent, ...without } = OFFER;
const { sent } = await order({ isAccepted: true }, { status: "ACCEPTED" }, without);
assert.ok(!("note" in sent["Notify restaurant"].Message), "an absent note is sent to the restaurant");

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
