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
from pathlib import Path

from billing import COLD_SHARE, WAIT_MS, Prices, architecture, billed_ms, cold_ms, gb_seconds, warm_ms
from report import markdown
from usage import FUNCTIONS, ROOT, TOKEN_BYTES, StackError, Usage, custom_metrics, measure, read_template, say
from web_cost import BUDGET, CLOSED, CUSTOMER_MINUTES, HOURS_A_DAY, LATER_STILL, ORDERS_A_DAY, RESTAURANTS, SLOWER, WAIT_SECONDS, Pages
from web_cost import COLD_SHARE as PAGES_COLD_SHARE
from web_cost import KEY_REQUESTS as PAGES_KEY_REQUESTS

# The function that keeps the table of open orders. If it was not measured, it gets the figures of another function that
# makes one call of DynamoDB.
KEEPER = "open-orders"
# How many seconds `orderctl watch` rests between two looks at an execution that waits for its restaurant.
WATCH_REST = int(re.search(r"const REST: .*from_secs\((\d+)\)\];", (ROOT / "crates/orderctl/src/cmd/watch.rs").read_text())[1])
# A message of a queue is sent, received and deleted.
REQUESTS_PER_MESSAGE = 3
# Lambda polls a queue by five pollers at least, each at most every 20 s: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
EMPTY_RECEIVES = 5 * 3 * 60 * 24 * 30
# What was not measured; docs/cost.md says why these.
ORDERS_PER_SECOND = 10
TRACED = (1 + 0.05 * (ORDERS_PER_SECOND - 1)) / ORDERS_PER_SECOND
KEY_REQUESTS = 12 * 12 * 24 * 30
# Two functions call DynamoDB, which asks for the table's key at most every five minutes for each of them.
TABLE_KEY_REQUESTS = 2 * 12 * 24 * 30
OUTAGE_SECONDS = 900

MONTH = 30 * 24 * 3600
RATES = (10, 100, 1000)
# Where Step Functions has larger quotas than elsewhere.
LARGE_REGIONS = "us-east-1, us-west-2, eu-west-1"
VARIANTS = {"rust": "this one, Rust", "python": "functions in Python", "node": "functions in Node"}
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

    def warm_ms(self, variant, function):
        return warm_ms(function, self.times(variant, function)[0])

    def cold_ms(self, variant, function):
        return cold_ms(function, *self.times(variant, function)[1:])

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
        "Lambda: requests": prices.usd("lambda_request", len(usage.functions)),
        "Lambda: duration": prices.usd(f"lambda_{architecture}", sum(map(gb_seconds, usage.functions))),
        "table writes": prices.usd("write", usage.write_units),
        "events": prices.usd("event", usage.events),
        "publishes": prices.usd("publish", usage.publishes),
        "logs": prices.usd("log", usage.log_bytes / 1e9),
        "traces": prices.usd("trace", traced),
    }
    return {name: usd * 1e6 for name, usd in lines.items()}


def kept_per_million(prices, usage, gb_seconds, architecture):
    """The lines of the bill of the open orders of a million orders."""
    lines = {
        "open orders: queue requests": prices.usd("queue_request", usage.kept * REQUESTS_PER_MESSAGE),
        "open orders: Lambda requests": prices.usd("lambda_request", usage.kept),
        "open orders: Lambda duration": prices.usd(f"lambda_{architecture}", usage.kept * gb_seconds),
        "open orders: table writes": prices.usd("write", usage.open_write_units),
        "open orders: logs": prices.usd("log", usage.kept_log_bytes / 1e9),
    }
    return {name: usd * 1e6 for name, usd in lines.items()}


def bill_table(title, lines):
    lines = list(lines)
    rows = [*lines, ("in all", sum(amount for _, amount in lines))]
    return markdown([title, "USD"], [[name, usd(amount)] for name, amount in rows])


def usd(amount):
    return f"${amount:,.2f}"


def more_or_less(amount):
    return f"{usd(abs(amount))} {'more' if amount >= 0 else 'less'}"


def price(amount):
    digits = f"{amount:.10f}".rstrip("0")
    return f"${amount:.2f}" if len(digits) < 4 else f"${digits}"


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
        (f"about {KEY_REQUESTS:,} requests to the key", prices.usd("key_request", KEY_REQUESTS)),
        (
            f"at most about {TABLE_KEY_REQUESTS:,} requests to the table's key, `aws/dynamodb`",
            prices.usd("key_request", TABLE_KEY_REQUESTS),
        ),
        (
            f"about {EMPTY_RECEIVES:,} requests by which Lambda waits for the queue of the open orders",
            prices.usd("queue_request", EMPTY_RECEIVES),
        ),
    ]


def fixed_costs_of_pages(prices, outer, template):
    keys = count_of(template, "AWS::KMS::Key")
    # Metrics that an alarm of the outer template looks at only where there are pages.
    alarms = [r["Properties"] for r in outer["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    more = sum("Fn::If" in query for alarm in alarms for query in alarm.get("Metrics", []))
    return [
        alarm_costs(prices, template),
        (f"{more} more metrics in the other alarms", prices.usd("alarm_metric", more)),
        (f"{keys} keys that sign links", prices.usd("key", keys)),
        (f"about {PAGES_KEY_REQUESTS:,} more requests to the stack's key", prices.usd("key_request", PAGES_KEY_REQUESTS)),
        (
            f"about {EMPTY_RECEIVES:,} requests by which Lambda waits for the queue of the links",
            prices.usd("queue_request", EMPTY_RECEIVES),
        ),
    ]


def limits(quota):
    """A quota in each of the two groups of regions, with its burst."""
    for place in ("limit", "elsewhere"):
        burst = quota["burst" if place == "limit" else "elsewhere_burst"]
        yield f"{quota[place]:,}" + (f" ({burst:,})" if burst and burst > quota[place] else "")


def short_name(quota):
    return quota["what"].split(": ")[1].removesuffix(" a second")


def volume(prices, accepted, functions, bill):
    """The table of quotas with how many orders a second use each up, which come first, and for each rate what is used
    most of its quota."""
    wait = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())["States"]["Notify restaurant"]
    load = vars(accepted) | {
        "starts": 1,
        "answers": 1,
        "open": wait["TimeoutSeconds"],
        "concurrency": (sum(functions.billed_ms("rust", name) for name in accepted.functions) + accepted.kept * functions.keeper_ms())
        / 1000,
    }
    quotas = prices.file["quotas"]
    full = {
        place: sorted((quota[place] / load[quota["load"]], short_name(quota)) for quota in quotas)
        for place in ("limit", "elsewhere")
    }
    rows = []
    for quota in quotas:
        here, elsewhere = limits(quota)
        at, at_elsewhere = (f"{int(quota[place] / load[quota['load']]):,}" for place in ("limit", "elsewhere"))
        rows.append([f"[{quota['what']}]({quota['source']})", here, at, elsewhere, at_elsewhere, quota["seen"]])

    def raise_first(place, rate):
        return ", then ".join(f"{what} ({rate / at:.0%})" for at, what in full[place] if rate / at > 0.7) or "nothing"

    advice = [
        [f"{rate:,} orders/s", f"${bill * rate * MONTH / 1e6:,.0f}"]
        + [raise_first(place, rate) for place in ("limit", "elsewhere")]
        for rate in RATES
    ]
    walls = {place: ", ".join(f"{what} at {int(at):,}" for at, what in full[place][:3]) for place in full}
    return rows, advice, walls


def outage(seconds):
    """The retries in an outage in which each attempt fails at once, by the numbers of the definition and for all states but
    the one that asks the restaurant, which gives up earlier: the retry rule; how many retries a task makes if the outage
    hits it at its start, and if it hits it at any time; how many of them come within the outage; and which share of tasks
    gives up before its end."""
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
    within, on_average = [1.0], [1.0]
    for attempt in range(rule["MaxAttempts"]):
        longest = min(rule["IntervalSeconds"] * rule["BackoffRate"] ** attempt, rule["MaxDelaySeconds"])
        width = round(longest * 10)
        sums = list(accumulate(times, initial=0.0))
        times = [(sums[at] - sums[max(0, at - width)]) / width for at in range(steps + 1)]
        until = list(accumulate(times))
        within.append(until[-1])
        on_average.append(sum(until) / len(until))
    # Counts the retry after the outage, too, if the task has attempts left.
    return rule, sum(within[:-1]), sum(on_average[:-1]), sum(within[1:]), within[-1]


def outage_table(prices, retries, within):
    quota = next(q for q in prices.file["quotas"] if q["load"] == "transitions")
    rows = []
    for rate in RATES:
        orders = rate * OUTAGE_SECONDS
        rows.append(
            [f"{rate:,} orders/s", f"{orders:,}", f"{orders * retries:,.0f}"]
            + [usd(prices.usd("transition", orders * retries)), f"{rate * within:,.0f}"]
            + [f"{rate * within / quota[place]:.0%}" for place in ("limit", "elsewhere")]
        )
    heads = ["", "orders placed meanwhile", "retries", "they cost", "retries a second at its end"]
    return markdown([*heads, f"of the quota, {LARGE_REGIONS}", "elsewhere"], rows)


def document(prices, functions, templates, usages, item_bytes, row_bytes, look):
    processor = architecture()
    template, web_template = templates

    def bill(usage, variant="rust"):
        workflow = usd_per_million(prices, usage, lambda name: functions.gb_seconds(variant, name), processor)
        return workflow | kept_per_million(prices, usage, functions.keeper_gb_seconds(), processor)

    accepted = usages["accepted"]
    lines = bill(accepted)
    total = sum(lines.values())
    outcomes = [
        [name, u.transitions, len(u.functions), u.write_units, u.events, u.publishes, u.kept]
        + [usd(bill(u)["state transitions"]), usd(sum(v for k, v in bill(u).items() if "Lambda" in k))]
        + [usd(sum(bill(u).values()))]
        for name, u in usages.items()
    ]
    compared = {VARIANTS[v]: {n: sum(bill(u, v).values()) for n, u in usages.items()} for v in VARIANTS}
    direct = {n: sum(bill(replace(u, functions=[], log_bytes=0)).values()) for n, u in usages.items() if n != "invalid"}
    original = {}
    for name, (transitions, writes, events, publishes) in ORIGINAL.items():
        usage = Usage(transitions, [], writes, events, publishes)
        original[name] = sum(usd_per_million(prices, usage, None, processor, traced=0).values())
    compared |= {"without functions": direct, "the 14-state original": original}
    variants = [[n, *(usd(by[o]) if o in by else "–" for o in usages)] for n, by in compared.items()]
    measured = []
    for (variant, name), subject in functions.subjects.items():
        duration = prices.usd(f"lambda_{processor}", functions.gb_seconds(variant, name))
        measured.append(
            [f"`{name}`, {variant.capitalize()}", functions.memory_mb[variant]]
            + [functions.warm_ms(variant, name), f"{functions.cold_ms(variant, name):,}"]
            + [f"{functions.limited[variant, name]['peak_mb']:.0f}", f"{subject['zipped_bytes'] / 1e6:.1f}"]
            + [usd(1e6 * (prices.usd("lambda_request", 1) + duration))]
        )
    pages = Pages(prices, functions.file, web_template, look)
    pages_lines = pages.bill()
    pages_usd = sum(pages_lines.values())
    signature = prices.usd("asymmetric_request", 1e6)
    quotas, advice, walls = volume(prices, accepted, functions, total)
    rule, retries_at_start, retries, retries_within, given_up = outage(OUTAGE_SECONDS)
    reads = [[f"[{q['what']}]({q['source']})", *limits(q), q["seen"]] for q in prices.file["reads"]]
    listed = [
        [f"[{p['what']}]({p['source']})", price(p["usd"]), f"{p['per']:,} {p['unit']}", p["seen"]]
        for p in prices.file["prices"].values()
    ]
    lambda_usd = sum(amount for name, amount in lines.items() if "Lambda" in name)
    kept = {name: amount for name, amount in lines.items() if name.startswith("open orders")}
    more = {v: more_or_less(compared[VARIANTS[v]]["accepted"] - total) for v in ("python", "node")}
    return (ROOT / "bench" / "cost.md.in").read_text().format(
        total=usd(total),
        transitions=usd(lines["state transitions"]),
        transitions_share=f"{lines['state transitions'] / total:.0%}",
        transition_million=usd(prices.usd("transition", 1e6)),
        lambda_usd=usd(lambda_usd),
        python_more=more["python"],
        node_more=more["node"],
        outcomes=markdown(
            ["outcome", "state transitions", "functions", "write units", "events", "publishes", "open orders: messages"]
            + ["transitions", "Lambda", "in all"],
            outcomes,
        ),
        lines=bill_table("one million accepted orders", lines.items()),
        variants=markdown(["one million orders", *usages], variants),
        kept=usd(sum(kept.values())),
        kept_writes=usd(kept["open orders: table writes"]),
        open_write_units=accepted.open_write_units,
        row=f"{row_bytes:,}",
        token=f"{TOKEN_BYTES:,}",
        direct_saves=usd(total - direct["accepted"]),
        original_source=ORIGINAL_SOURCE,
        memory=f"{functions.memory_mb['rust']:,}",
        others_memory=f"{functions.memory_mb['python']:,}",
        performance_date=functions.file["date"],
        machine=functions.file["machine"],
        sizes_date=functions.file["sizes"]["date"],
        sizes_machine=functions.file["sizes"]["machine"],
        measured=markdown(
            ["function", "memory, MB", "billed, warm, ms", "billed, cold, ms", "peak, MB", "zip, MB", "a million calls"], measured
        ),
        pages_usd=usd(pages_usd),
        pages_lines=bill_table("one million orders", pages_lines.items()),
        pages_api=usd(pages_lines["API: requests"]),
        pages_api_share=f"{pages_lines['API: requests'] / pages_usd:.0%}",
        pages_links=usd(sum(amount for name, amount in pages_lines.items() if "links" in name)),
        pages_by_wait=pages.by_wait(),
        pages_affordable=pages.affordable_wait(),
        pages_budget=usd(BUDGET),
        slower=SLOWER,
        slower_affordable=pages.affordable_wait(soon=SLOWER),
        later_still=LATER_STILL,
        later_still_affordable=pages.affordable_wait(later=LATER_STILL),
        pages_functions=pages.functions(),
        pages_fixed=bill_table("each month", fixed_costs_of_pages(prices, template, web_template)),
        pages_cold=f"{PAGES_COLD_SHARE:.1%}",
        pages_log=pages.access_log_bytes,
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
        advice=markdown(["", "30 days cost", f"raise, {LARGE_REGIONS}", "raise, elsewhere"], advice),
        large_regions=LARGE_REGIONS,
        walls=walls["limit"],
        walls_elsewhere=walls["elsewhere"],
        watch_rest=WATCH_REST,
        watchers=prices.file["reads"][0]["limit"] * WATCH_REST,
        watchers_elsewhere=prices.file["reads"][0]["elsewhere"] * WATCH_REST,
        reads=markdown(["default quota", LARGE_REGIONS, "elsewhere", "as read in"], reads),
        outage_minutes=OUTAGE_SECONDS // 60,
        attempts=rule["MaxAttempts"],
        longest=rule["MaxDelaySeconds"],
        retries_at_start=f"{retries_at_start:.1f}",
        retries=f"{retries:.1f}",
        retries_usd=usd(prices.usd("transition", 1e6 * retries)),
        given_up=f"{given_up:.1%}",
        outage=outage_table(prices, retries, retries_within),
        quotas=markdown(
            ["default quota (in a burst)", LARGE_REGIONS, "full at, orders/s", "elsewhere", "full at, orders/s", "as read in"],
            quotas,
        ),
        look=usd(1e6 * prices.usd("read", math.ceil(10 * row_bytes / 4096) / 2)),
        waits=", ".join(f"{ms} ms in `{name}`" for name, ms in WAIT_MS.items()),
        cold=f"{COLD_SHARE:.0%}",
        rate=ORDERS_PER_SECOND,
        traced=f"{TRACED:.1%}",
        item=item_bytes,
        stored=f"{item_bytes / 1000:.1f}",
        express_saves=usd(prices.usd("transition", (accepted.transitions - 3) * 1e6)),
        express_share=f"{prices.usd('transition', (accepted.transitions - 3) * 1e6) / total:.0%}",
        listed=markdown(["list price", "USD", "for", "as read in"], listed),
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
