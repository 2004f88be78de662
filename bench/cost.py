#!/usr/bin/env python3
"""What orders cost on AWS: writes docs/cost.md.

From the histories of real executions on a local AWS (state transitions and what else an outcome uses), the measured
durations in docs/performance.json, and the list prices and quotas in bench/prices.json. Run by `make cost`.
"""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

from report import markdown
from usage import FUNCTIONS, ROOT, StackError, Usage, measure, say

# What was not measured; docs/cost.md says why these. The waits are those of a function for DynamoDB or SNS.
WAIT_MS = {"save-order": 5, "update-status": 5, "notify-user": 15}
COLD_SHARE = 0.01
ORDERS_PER_SECOND = 10
TRACED = (1 + 0.05 * (ORDERS_PER_SECOND - 1)) / ORDERS_PER_SECOND
KEY_REQUESTS = 10 * 12 * 24 * 30

MONTH = 30 * 24 * 3600
RATES = (10, 100, 1000)
VARIANTS = {"rust": "this one, Rust", "python": "functions in Python", "node": "functions in Node"}
# The workflow that this one grew from has 14 states and no functions. By outcome: how many states an order passes, and
# how many table writes, events and publishes are among them. Counted by hand in its definition.
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


class Prices:
    def __init__(self):
        self.file = json.loads((ROOT / "bench" / "prices.json").read_text())

    def usd(self, name, count):
        price = self.file["prices"][name]
        return count * price["usd"] / price["per"]


class Functions:
    """The measured durations and sizes."""

    def __init__(self, memory_mb):
        path = ROOT / "docs" / "performance.json"
        if not path.exists():
            raise StackError("There is no docs/performance.json yet. Measure first: `make bench`.")
        self.file = json.loads(path.read_text())
        self.memory_mb = memory_mb
        if self.file["memory_mb"] != memory_mb:
            raise StackError(f"docs/performance.json is for {self.file['memory_mb']} MB, the template for {memory_mb}")
        measured = {(s["variant"], s["function"]): s for s in self.file["subjects"] if s["variant"] in VARIANTS}
        self.subjects = {(variant, name): measured[variant, name] for name in FUNCTIONS for variant in VARIANTS}
        for subject in self.subjects.values():
            if not subject["limited"]:
                raise StackError("docs/performance.json has no figures for a share of a core: `make bench` needs root for them")
            if subject["limited"]["peak_mb"] > memory_mb:
                raise StackError(f"{subject['name']} does not fit into {memory_mb} MB")

    def warm_ms(self, variant, function):
        return math.ceil(self.subjects[variant, function]["limited"]["warm_p50_ms"] + WAIT_MS[function])

    def cold_ms(self, variant, function):
        """With the init at full speed: AWS does not say whether it limits it, and this favours those who start slowly."""
        subject = self.subjects[variant, function]
        return math.ceil(subject["full"]["init_ms"] + subject["limited"]["first_ms"] + WAIT_MS[function])

    def billed_ms(self, variant, function):
        warm, cold = self.warm_ms(variant, function), self.cold_ms(variant, function)
        return (1 - COLD_SHARE) * warm + COLD_SHARE * cold

    def gb_seconds(self, variant, function):
        return self.billed_ms(variant, function) / 1000 * self.memory_mb / 1024


def usd_per_million(prices, usage, gb_seconds, architecture, traced=TRACED):
    """The lines of the bill of a million orders."""
    lines = {
        "state transitions": prices.usd("transition", usage.transitions),
        "Lambda: requests": prices.usd("lambda_request", len(usage.functions)),
        "Lambda: duration": prices.usd(f"lambda_{architecture}", sum(map(gb_seconds, usage.functions))),
        "table writes": prices.usd("write", usage.write_units),
        "events": prices.usd("event", usage.events),
        "publishes": prices.usd("publish", usage.publishes),
        "queue requests": prices.usd("queue_request", usage.queue_requests),
        "logs": prices.usd("log", usage.log_bytes / 1e9),
        "traces": prices.usd("trace", traced),
    }
    return {name: usd * 1e6 for name, usd in lines.items()}


def bill_table(title, lines):
    lines = list(lines)
    rows = [*lines, ("in all", sum(amount for _, amount in lines))]
    return markdown([title, "USD"], [[name, usd(amount)] for name, amount in rows])


def usd(amount):
    return f"${amount:,.2f}"


def price(amount):
    digits = f"{amount:.10f}".rstrip("0")
    return f"${amount:.2f}" if len(digits) < 4 else f"${digits}"


def fixed_costs(prices, template, metrics):
    alarms = re.findall(r"Type: AWS::CloudWatch::Alarm\n(.*?)(?=\n\n|\Z)", template, re.DOTALL)
    alarm_metrics = sum(max(1, alarm.count("MetricStat:")) for alarm in alarms)
    return [
        (f"{len(alarms)} alarms on {alarm_metrics} metrics", prices.usd("alarm_metric", alarm_metrics)),
        (f"{len(metrics)} custom metrics", prices.usd("custom_metric", len(metrics))),
        ("1 dashboard", prices.usd("dashboard", template.count("Type: AWS::CloudWatch::Dashboard"))),
        ("1 key (each of its first two rotations adds as much)", prices.usd("key", template.count("AWS::KMS::Key\n"))),
        (f"about {KEY_REQUESTS:,} requests to the key", prices.usd("key_request", KEY_REQUESTS)),
    ]


def volume(prices, accepted, functions, bill, template):
    """The table of quotas, and for each rate what is used most of its quota."""
    wait = json.loads((ROOT / "statemachine" / "order.asl.json").read_text())["States"]["Notify restaurant"]
    load = vars(accepted) | {
        "starts": 1,
        "answers": 1,
        "open": wait["TimeoutSeconds"],
        "concurrency": sum(functions.billed_ms("rust", name) for name in accepted.functions) / 1000,
        "in_flight": int(re.search(r"VisibilityTimeout: (\d+)", template)[1]),
    }
    quotas = prices.file["quotas"]
    rows, first = [], {}
    for quota in quotas:
        cells = []
        for rate in RATES:
            used = load[quota["load"]] * rate
            share = used / quota["limit"]
            cells.append(f"**{share:.0%}**" if share > 1 else f"{share:.0%}" if share >= 0.01 else "< 1%")
        limits = [f"{quota['limit']:,}", f"{quota['burst']:,}" if quota["burst"] else ""]
        limits.append(f"{quota['elsewhere']:,}" if quota["elsewhere"] else "–")
        rows.append([f"[{quota['what']}]({quota['source']})", *limits, *cells, quota["seen"]])
    for place in ("limit", "elsewhere"):
        for rate in RATES:
            shares = ((load[quota["load"]] * rate / quota[place], quota["what"]) for quota in quotas if quota[place])
            by_share = sorted(shares, reverse=True)
            first[place, rate] = [f"{what.split(': ')[1]} ({share:.0%})" for share, what in by_share if share > 0.7]
    advice = [
        [
            f"{rate:,} orders/s",
            f"${bill * rate * MONTH / 1e6:,.0f}",
            ", then ".join(first["limit", rate]) or "nothing",
            ", then ".join(first["elsewhere", rate]) or "nothing",
        ]
        for rate in RATES
    ]
    return rows, advice


def document(prices, functions, template, usages, item_bytes, metrics):
    architecture = re.search(r"Architecture:\n.*?Default: (\w+)", template, re.DOTALL)[1]

    def bill(usage, variant="rust"):
        return usd_per_million(prices, usage, lambda name: functions.gb_seconds(variant, name), architecture)

    accepted = usages["accepted"]
    lines = bill(accepted)
    total = sum(lines.values())
    outcomes = [
        [name, u.transitions, len(u.functions), u.write_units, u.events, u.publishes, u.queue_requests]
        + [usd(bill(u)["state transitions"]), usd(sum(v for k, v in bill(u).items() if "Lambda" in k))]
        + [usd(sum(bill(u).values()))]
        for name, u in usages.items()
    ]
    compared = {VARIANTS[v]: {n: sum(bill(u, v).values()) for n, u in usages.items()} for v in VARIANTS}
    direct = {n: sum(bill(replace(u, functions=[], log_bytes=0)).values()) for n, u in usages.items() if n != "invalid"}
    original = {}
    for name, (transitions, writes, events, publishes) in ORIGINAL.items():
        usage = Usage(transitions, [], writes, events, publishes, usages[name].queue_requests)
        original[name] = sum(usd_per_million(prices, usage, None, architecture, traced=0).values())
    compared |= {"without functions": direct, "the 14-state original": original}
    variants = [[n, *(usd(by[o]) if o in by else "–" for o in usages)] for n, by in compared.items()]
    measured = []
    for (variant, name), subject in functions.subjects.items():
        duration = prices.usd(f"lambda_{architecture}", functions.gb_seconds(variant, name))
        measured.append(
            [f"`{name}`, {variant.capitalize()}"]
            + [functions.warm_ms(variant, name), f"{functions.cold_ms(variant, name):,}"]
            + [f"{subject['limited']['peak_mb']:.0f}", f"{subject['zipped_bytes'] / 1e6:.1f}"]
            + [usd(1e6 * (prices.usd("lambda_request", 1) + duration))]
        )
    quotas, advice = volume(prices, accepted, functions, total, template)
    listed = [
        [f"[{p['what']}]({p['source']})", price(p["usd"]), f"{p['per']:,} {p['unit']}", p["seen"]]
        for p in prices.file["prices"].values()
    ]
    lambda_usd = lines["Lambda: requests"] + lines["Lambda: duration"]
    more = {v: usd(compared[VARIANTS[v]]["accepted"] - total) for v in ("python", "node")}
    return (ROOT / "bench" / "cost.md.in").read_text().format(
        total=usd(total),
        transitions=usd(lines["state transitions"]),
        transitions_share=f"{lines['state transitions'] / total:.0%}",
        transition_million=usd(prices.usd("transition", 1e6)),
        lambda_usd=usd(lambda_usd),
        python_more=more["python"],
        node_more=more["node"],
        outcomes=markdown(
            ["outcome", "state transitions", "functions", "write units", "events", "publishes", "queue requests"]
            + ["transitions", "Lambda", "in all"],
            outcomes,
        ),
        lines=bill_table("one million accepted orders", lines.items()),
        variants=markdown(["one million orders", *usages], variants),
        direct_saves=usd(total - direct["accepted"]),
        original_source=ORIGINAL_SOURCE,
        memory=functions.memory_mb,
        performance_date=functions.file["date"],
        machine=functions.file["machine"],
        measured=markdown(
            ["function", "billed, warm, ms", "billed, cold, ms", "peak, MB", "zip, MB", "a million calls"], measured
        ),
        fixed=bill_table("each month", fixed_costs(prices, template, metrics)),
        advice=markdown(["", "30 days cost", "raise, us-east-1", "raise, most other regions"], advice),
        quotas=markdown(
            ["default quota", "us-east-1", "in a burst", "most other regions"]
            + [*(f"{rate:,}/s" for rate in RATES), "as read in"],
            quotas,
        ),
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
        architecture=architecture,
    )


def main():
    template = (ROOT / "template.yaml").read_text()
    functions = Functions(int(re.search(r"MemorySize: (\d+)", template)[1]))
    page = ROOT / "docs" / "cost.md"
    page.write_text(document(Prices(), functions, template, *measure()))
    say(f"Wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
