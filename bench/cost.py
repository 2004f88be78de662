#!/usr/bin/env python3
"""What orders cost on AWS: writes docs/cost.md.

From the histories of real executions on a local AWS (state transitions and what else an outcome uses), the measured
durations in docs/performance.json, and the list prices and quotas in bench/prices.json. `web_cost.py` has the pages. Run
by `make cost`.
"""

import json
import math
import re
import sys
from dataclasses import replace
from itertools import accumulate

from billing import COLD_SHARE, WAIT_MS, Prices, architecture, billed_ms, gb_seconds
from report import markdown
from usage import FUNCTIONS, ROOT, TOKEN_BYTES, StackError, Usage, custom_metrics, measure, read_template, say
from web_cost import CLOSED, CUSTOMER_MINUTES, HOURS_A_DAY, ORDERS_A_DAY, RESTAURANTS, WAIT_SECONDS, Pages
from web_cost import COLD_SHARE as PAGES_COLD_SHARE
from web_cost import KEY_REQUESTS as PAGES_KEY_REQUESTS

# The function that keeps the table of open orders. If it was not measured, it gets the figures of another function that
# makes one call of DynamoDB.
KEEPER = "open-orders"
# A message of a queue is sent, received and deleted.
REQUESTS_PER_MESSAGE = 3
# Lambda polls a queue by five pollers at least, each at most every 20 s:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
EMPTY_RECEIVES = 5 * 3 * 60 * 24 * 30
# What was not measured; docs/cost.md says why these.
ORDERS_PER_SECOND = 10
TRACED = (1 + 0.05 * (ORDERS_PER_SECOND - 1)) / ORDERS_PER_SECOND
KEY_REQUESTS = 12 * 12 * 24 * 30
# Two functions call DynamoDB, which asks for the table's key at most every five minutes for each of them.
TABLE_KEY_REQUESTS = 2 * 12 * 24 * 30
OUTAGE_SECONDS = 900
# The page has the quotas that fewer orders a second use up.
MOST_RATE = 1000

# Where Step Functions has larger quotas than elsewhere.
LARGE_REGIONS = "us-east-1, us-west-2, eu-west-1"
VARIANTS = {"rust": "Rust", "python": "Python", "node": "Node"}
# The workflow that this one grew from has 14 states and no functions. By outcome, counted by hand in its definition: how
# many states an order passes, and how many table writes, events and publishes are among them.
ORIGINAL_SOURCE = (
    "https://github.com/nirgluzman/Production-Ready-Serverless-Workshop/blob/"
    "20f0f8f9262bcbd76114a44a605e4af3edb3b008/terraform/state_machines/order-flow.asl.json"
)
ORIGINAL = {
    "accepted": (7, 2, 2, 2),
    "rejected": (7, 2, 2, 2),
    "timed out": (7, 2, 2, 2),
    "failed: malformed": (7, 2, 2, 2),
    "failed: reported": (3, 1, 1, 1),
}


class Functions:
    """The measured durations and sizes: ours with the template's memory, the others with the memory that all subjects
    were last compared with."""

    def __init__(self, memory_mb):
        path = ROOT / "docs" / "performance.json"
        if not path.exists():
            raise StackError("There is no docs/performance.json yet. Measure first: `make bench`.")
        self.file = json.loads(path.read_text())
        rows = (self.file.get("sizes") or {}).get("rows", [])
        ours = {row["function"]: row["figures"] for row in rows if row["memory_mb"] == memory_mb}
        if not ours:
            raise StackError(f"docs/performance.json has no figures for {memory_mb} MB: `make bench`, as root")
        measured = {(s["variant"], s["function"]): s for s in self.file["subjects"] if s["variant"] in VARIANTS}
        wanted = [(variant, name) for name in FUNCTIONS for variant in VARIANTS if name != KEEPER]
        wanted.append(("rust", KEEPER))
        self.subjects = {key: measured[key] for key in wanted}
        self.memory_mb = dict.fromkeys(VARIANTS, self.file["memory_mb"]) | {"rust": memory_mb}
        self.limited = {key: subject["limited"] for key, subject in self.subjects.items()}
        self.limited |= {("rust", name): figures for name, figures in ours.items()}
        for (variant, name), figures in self.limited.items():
            if not figures:
                raise StackError("docs/performance.json has no figures for a share of a core: `make bench`, as root")
            if figures["peak_mb"] > self.memory_mb[variant]:
                raise StackError(f"{name}, {variant}, does not fit into {self.memory_mb[variant]} MB")

    def times(self, variant, function):
        """Warm, init and first invocation. The init is that at full speed: AWS does not say whether it limits it, and
        this favors those who start slowly."""
        limited = self.limited[variant, function]
        return limited["warm_p50_ms"], self.subjects[variant, function]["full"]["init_ms"], limited["first_ms"]

    def billed_ms(self, variant, function):
        return billed_ms(function, *self.times(variant, function))

    def gb_seconds(self, variant, function):
        return gb_seconds(self.billed_ms(variant, function), self.memory_mb[variant])

    def keeper_ms(self):
        return self.billed_ms("rust", KEEPER)

    def keeper_gb_seconds(self):
        return gb_seconds(self.keeper_ms(), self.memory_mb["rust"])


def usd_per_million(prices, usage, gb_seconds, architecture, traced=TRACED):
    """The lines of the bill of a million orders."""
    lines = {
        "state transitions": prices.usd("transition", usage.transitions),
        "Lambda": prices.usd("lambda_request", len(usage.functions))
        + prices.usd(f"lambda_{architecture}", sum(map(gb_seconds, usage.functions))),
        "table writes": prices.usd("write", usage.write_units),
        "events": prices.usd("event", usage.events),
        "publishes": prices.usd("publish", usage.publishes),
        "logs": prices.usd("log", usage.log_bytes / 1e9),
        "traces": prices.usd("trace", traced),
    }
    return {name: usd * 1e6 for name, usd in lines.items()}


def kept_per_million(prices, usage, gb_seconds, architecture):
    """What the open orders of a million orders cost: in Lambda, and beside it."""
    duration = prices.usd(f"lambda_{architecture}", usage.kept * gb_seconds)
    beside = prices.usd("queue_request", usage.kept * REQUESTS_PER_MESSAGE) + prices.usd("write", usage.open_write_units)
    lines = {
        "open orders: Lambda": prices.usd("lambda_request", usage.kept) + duration,
        "open orders: table, queue and logs": beside + prices.usd("log", usage.kept_log_bytes / 1e9),
    }
    return {name: usd * 1e6 for name, usd in lines.items()}


def bill_table(title, lines):
    lines = list(lines)
    rows = [*lines, ("in all", sum(amount for _, amount in lines))]
    return markdown([title, "USD"], [[name, usd(amount)] for name, amount in rows])


def usd(amount):
    return f"${amount:,.2f}"


def alarm_costs(prices, template):
    """The row of a template's alarms: AWS bills each metric that one looks at."""
    alarms = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    looked_at = sum(sum("MetricStat" in query for query in alarm.get("Metrics", [{"MetricStat": alarm}])) for alarm in alarms)
    return f"{len(alarms)} alarms on {looked_at} metrics", prices.usd("alarm_metric", looked_at)


def count_of(template, kind):
    return sum(resource["Type"] == kind for resource in template["Resources"].values())


def fixed_costs(prices, template):
    metrics, keys = len(custom_metrics()), count_of(template, "AWS::KMS::Key")
    return [
        alarm_costs(prices, template),
        (f"{metrics} custom metrics", prices.usd("custom_metric", metrics)),
        ("1 dashboard", prices.usd("dashboard", count_of(template, "AWS::CloudWatch::Dashboard"))),
        (f"{keys} key (each of its first two rotations adds as much)", prices.usd("key", keys)),
        (
            "requests to the keys, and those by which Lambda waits for a queue",
            prices.usd("key_request", KEY_REQUESTS + TABLE_KEY_REQUESTS) + prices.usd("queue_request", EMPTY_RECEIVES),
        ),
    ]


def fixed_cost_of_pages(prices, outer, template):
    # Metrics that an alarm of the outer template looks at only where there are pages.
    alarms = [r["Properties"] for r in outer["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    more = sum("Fn::If" in query for alarm in alarms for query in alarm.get("Metrics", []))
    requests = prices.usd("key_request", PAGES_KEY_REQUESTS) + prices.usd("queue_request", EMPTY_RECEIVES)
    keys = prices.usd("key", count_of(template, "AWS::KMS::Key"))
    return alarm_costs(prices, template)[1] + prices.usd("alarm_metric", more) + keys + requests


def limits(quota):
    """A quota in each of the two groups of regions, with its burst."""
    for place in ("limit", "elsewhere"):
        burst = quota["burst" if place == "limit" else "elsewhere_burst"]
        yield f"{quota[place]:,}" + (f" ({burst:,})" if burst and burst > quota[place] else "")


def volume(prices, accepted, functions):
    """The table of quotas with how many orders a second use each up."""
    wait = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())["States"]["Notify restaurant"]
    load = vars(accepted) | {
        "starts": 1,
        "answers": 1,
        "open": wait["TimeoutSeconds"],
        "concurrency": (sum(functions.billed_ms("rust", name) for name in accepted.functions) + accepted.kept * functions.keeper_ms())
        / 1000,
    }
    rows = []
    for quota in prices.file["quotas"]:
        here, elsewhere = limits(quota)
        at, at_elsewhere = (int(quota[place] / load[quota["load"]]) for place in ("limit", "elsewhere"))
        if at_elsewhere < MOST_RATE:
            what = quota["what"].split(": ")[1].removesuffix(" a second")
            rows.append([f"[{what}]({quota['source']})", here, f"{at:,}", elsewhere, f"{at_elsewhere:,}"])
    return markdown(["quota (in a burst)", LARGE_REGIONS, "orders/s", "elsewhere", "orders/s"], rows)


def outage(seconds):
    """The retries in an outage in which each attempt fails at once, by the numbers of the definition and for all states but
    the one that asks the restaurant, which gives up earlier: the retry rule, and how many retries a task makes if the
    outage hits it at any time."""
    states = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())["States"]
    retriers = [r for name, state in states.items() if name != "Notify restaurant" for r in state.get("Retry", [])]
    rules = {json.dumps({k: v for k, v in r.items() if k != "ErrorEquals"}) for r in retriers}
    if len(rules) != 1:
        raise StackError(f"The definition retries in more than one way; docs/cost.md speaks of one: {rules}")
    rule = json.loads(rules.pop())
    if rule["JitterStrategy"] != "FULL":
        raise StackError("docs/cost.md speaks of retries with full jitter, the definition has none")
    # When the attempts come: sums of waits, each drawn evenly between 0 and its longest, in steps of 0.1 s.
    steps = seconds * 10
    times = [1.0] + [0.0] * steps
    retries = 1.0
    for attempt in range(rule["MaxAttempts"] - 1):
        longest = min(rule["IntervalSeconds"] * rule["BackoffRate"] ** attempt, rule["MaxDelaySeconds"])
        width = round(longest * 10)
        sums = list(accumulate(times, initial=0.0))
        times = [(sums[at] - sums[max(0, at - width)]) / width for at in range(steps + 1)]
        # An attempt within the outage makes another one.
        until = list(accumulate(times))
        retries += sum(until) / len(until)
    return rule, retries


def document(prices, functions, templates, usages, item_bytes, row_bytes, look):
    processor = architecture()
    template, web_template = templates

    def bill(usage, variant="rust"):
        workflow = usd_per_million(prices, usage, lambda name: functions.gb_seconds(variant, name), processor)
        return workflow | kept_per_million(prices, usage, functions.keeper_gb_seconds(), processor)

    accepted = usages["accepted"]
    lines = bill(accepted)
    total = sum(lines.values())
    others = {v: sum(bill(accepted, v).values()) - total for v in ("python", "node")}
    saved = total - sum(bill(replace(accepted, functions=[], log_bytes=0)).values())
    outcomes = []
    for name, usage in usages.items():
        cost = sum(bill(usage).values())
        row = [name, usage.transitions, len(usage.functions), usd(bill(usage)["state transitions"]), usd(cost)]
        if name in ORIGINAL:
            transitions, writes, events, publishes = ORIGINAL[name]
            original = Usage(transitions, [], writes, events, publishes)
            row.append(usd(sum(usd_per_million(prices, original, None, processor, traced=0).values())))
        outcomes.append([*row, "–"][:6])
    pages = Pages(prices, functions.file, web_template, look)
    pages_lines = pages.bill()
    pages_usd = sum(pages_lines.values())
    signature = prices.usd("asymmetric_request", 1e6)
    rule, retries = outage(OUTAGE_SECONDS)
    lambda_usd = sum(amount for name, amount in lines.items() if "Lambda" in name)
    return (ROOT / "bench" / "cost.md.in").read_text().format(
        total=usd(total),
        transitions=usd(lines["state transitions"]),
        transitions_share=f"{lines['state transitions'] / total:.0%}",
        transition_million=usd(prices.usd("transition", 1e6)),
        lambda_usd=usd(lambda_usd),
        python_more=usd(others["python"]),
        node_more=usd(others["node"]),
        outcomes=markdown(["outcome", "states", "functions", "transitions", "in all", "the 14-state original"], outcomes),
        lines=bill_table("one million accepted orders", lines.items()),
        open_write_units=accepted.open_write_units,
        row=f"{row_bytes:,}",
        token=f"{TOKEN_BYTES:,}",
        direct_saves=usd(saved),
        original_source=ORIGINAL_SOURCE,
        memory=f"{functions.memory_mb['rust']:,}",
        others_memory=f"{functions.memory_mb['python']:,}",
        pages_usd=usd(pages_usd),
        pages_lines=bill_table("one million orders", pages_lines.items()),
        pages_by_wait=pages.by_wait(),
        pages_fixed=usd(fixed_cost_of_pages(prices, template, web_template)),
        pages_cold=f"{PAGES_COLD_SHARE:.1%}",
        restaurants=f"{RESTAURANTS:,}",
        looks_a_second=f"{RESTAURANTS * sum(pages.looks(WAIT_SECONDS)) / HOURS_A_DAY / 3600:.0f}",
        web_rate=template["Parameters"]["WebRate"]["Default"],
        orders_a_day=ORDERS_A_DAY,
        hours_a_day=HOURS_A_DAY,
        wait_seconds=WAIT_SECONDS,
        soon=f"{pages.soon:.0f}",
        later=f"{pages.later:.0f}",
        listed_closed=CLOSED,
        none_waits=f"{look.none_waits:,}",
        one_waits=f"{look.one_waits:,}",
        unchanged=f"{look.unchanged:,}",
        a_million_looks=usd(1e6 * pages.a_look()),
        signature=usd(signature),
        customer_minutes=CUSTOMER_MINUTES,
        customer_looks=f"{pages.customer_looks():.0f}",
        customers_usd=usd(signature + 1e6 * pages.customer_looks() * pages.a_look()),
        fixed=bill_table("each month", fixed_costs(prices, template)),
        outage_minutes=OUTAGE_SECONDS // 60,
        attempts=rule["MaxAttempts"],
        longest=rule["MaxDelaySeconds"],
        retries=f"{retries:.1f}",
        retries_usd=usd(prices.usd("transition", 1e6 * retries)),
        quotas=volume(prices, accepted, functions),
        reads=" and ".join(f"{q['limit']} {q['what'].split(': ')[1]}" for q in prices.file["reads"]),
        look=usd(1e6 * prices.usd("read", math.ceil(10 * row_bytes / 4096) / 2)),
        waits=", ".join(f"`{name}` {ms}" for name, ms in WAIT_MS.items()),
        cold=f"{COLD_SHARE:.0%}",
        rate=ORDERS_PER_SECOND,
        traced=f"{TRACED:.1%}",
        item=item_bytes,
        stored=f"{item_bytes / 1000:.1f}",
        express_saves=usd(prices.usd("transition", (accepted.transitions - 3) * 1e6)),
        looked_up=prices.file["looked_up"],
        region=prices.file["region"],
        architecture=processor,
    )


def main():
    templates = [read_template(ROOT / path) for path in ("template.yaml", "web/template.yaml")]
    functions = Functions(templates[0]["Globals"]["Function"]["MemorySize"])
    page = ROOT / "docs" / "cost.md"
    page.write_text(document(Prices(), functions, templates, *measure(CLOSED)))
    say(f"Wrote {page.relative_to(ROOT)}")
    check_what_is_typed(page.read_text())


def check_what_is_typed(page):
    """README and docs/design.md name the rounded sum, and people typed it there."""
    total, share = re.search(r"accepted orders cost \$([\d,.]+): \S+ \((\d+)%\)", page).groups()
    total = f"${float(total.replace(',', '')):,.0f}"
    for name, typed in {"README.md": f"about {total}, of which {share} %", "docs/design.md": f"of {total}"}.items():
        if typed not in " ".join((ROOT / name).read_text().split()):
            raise StackError(f"{name} does not say “{typed}”, which is what orders cost now: write it there")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
