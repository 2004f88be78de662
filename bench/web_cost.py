"""What the web pages add to the cost of orders: a part of docs/cost.md.

From the pages' measured durations in docs/performance.json, from what a look at a page was seen to do on a local AWS, and
from the templates. How often a page looks follows from its script's pauses.
"""

import math
import re

from billing import ROOT, architecture, billed_ms, gb_seconds
from report import markdown
from usage import FACTS, LOG_EVENT_OVERHEAD, StackError

# A restaurant's day, and how long an order waits for its answer.
ORDERS_A_DAY, HOURS_A_DAY = 50, 12
WAIT_SECONDS = 60
# How many such restaurants have a million orders in 30 days.
RESTAURANTS = round(1e6 / 30 / ORDERS_A_DAY)
WAITS = (30, 60, 120, 600)
# How many orders ended within the last hour, which a page lists, and how many minutes a customer's page is open.
CLOSED = round(ORDERS_A_DAY / HOURS_A_DAY)
CUSTOMER_MINUTES = 10
# What was not measured; docs/cost.md says why these.
COLD_SHARE = 0.001
KEY_REQUESTS = 4 * 12 * 24 * 30
# A message of a queue is sent, received and deleted.
REQUESTS_PER_MESSAGE = 3
# An access log's line with values as API Gateway writes them.
LOGGED = {
    "requestId": "JKJaXmPLvHcESHA=",
    "requestTime": "01/Jan/2026:12:00:00 +0000",
    "httpMethod": "GET",
    "status": "200",
    "responseLatency": "12",
    "integrationErrorMessage": "-",
}


class Pages:
    """The pages' measured durations, and what a look does."""

    def __init__(self, prices, performance, template, look):
        measured = performance.get("pages")
        if not measured:
            raise StackError("docs/performance.json has no figures of the pages: `make bench ONLY=pages`, as root")
        self.prices, self.look, self.template = prices, look, template
        memories = {f["Properties"]["MemorySize"] for f in template["Resources"].values() if f["Type"] == "AWS::Serverless::Function"}
        (self.memory_mb,) = memories
        by = {(row["memory_mb"], row["function"]): row["figures"] for row in measured["rows"]}
        self.limited = {name: by[self.memory_mb, name] for name in ("web", "web-links")}
        # Initialization is taken at full speed, as for the other functions.
        self.init_ms = {name: by[max(memory for memory, _ in by), name]["init_ms"] for name in self.limited}
        pauses = FACTS["milliseconds_between_looks"]
        self.soon, self.later = pauses["while_an_order_waits"] / 1000, pauses["otherwise"] / 1000
        form = template["Resources"]["Stage"]["Properties"]["AccessLogSettings"]["Format"]
        line = re.sub(r"\$context\.(\w+)", lambda variable: LOGGED[variable[1]], form)
        self.access_log_bytes = len(line) + LOG_EVENT_OVERHEAD

    def times(self, name):
        limited = self.limited[name]
        return limited["warm_p50_ms"], self.init_ms[name], limited["first_ms"]

    def gb_seconds(self, name):
        return gb_seconds(billed_ms(name, *self.times(name), COLD_SHARE), self.memory_mb)

    def looks(self, wait):
        """How often a day a tablet looks while an order waits, and while none does, as if no two waited at once."""
        waiting = min(ORDERS_A_DAY * wait, HOURS_A_DAY * 3600)
        return waiting / self.soon, (HOURS_A_DAY * 3600 - waiting) / self.later

    def answer_bytes(self, whole, pause, listed):
        """Of an average look: each listed order says how many minutes ago it was, so each makes the page another one once a
        minute. Otherwise the page is not sent again."""
        changed = 1 - (1 - min(1, pause / 60)) ** listed
        return changed * whole + (1 - changed) * self.look.unchanged

    def bill(self, wait=WAIT_SECONDS):
        """The lines of the bill of a million orders."""
        usd, look = self.prices.usd, self.look
        soon, later = (looks / ORDERS_A_DAY for looks in self.looks(wait))
        # Beside its looks, a page sends an answer and follows the redirect.
        requests = soon + later + 2
        sent = soon * self.answer_bytes(look.one_waits, self.soon, CLOSED + 1)
        sent += later * self.answer_bytes(look.none_waits, self.later, CLOSED) + 2 * look.one_waits
        closed = max(1, math.ceil(CLOSED * look.closed_row / 4096)) / 2
        reads = soon * max(1, math.ceil(look.open_row / 4096)) / 2 + later / 2 + (soon + later + 1) * closed + 2
        lines = {
            "API: requests": usd("http_request", requests),
            "Lambda": usd("lambda_request", requests) + usd(f"lambda_{architecture()}", requests * self.gb_seconds("web")),
            "reads of the tables": usd("read", reads + requests),
            "data transfer": usd("transfer", sent / 1e9),
            "access logs": usd("log", requests * self.access_log_bytes / 1e9),
            "public keys, read at cold starts": usd("asymmetric_request", 2 * COLD_SHARE * requests),
            "links": self.link() + usd("asymmetric_request", 1 / ORDERS_A_DAY),
        }
        return {name: amount * 1e6 for name, amount in lines.items()}

    def link(self):
        """One order's link on the topic of links: signed, in a queue, by a call, published and logged."""
        usd = self.prices.usd
        return (
            usd("asymmetric_request", 1)
            + usd("queue_request", REQUESTS_PER_MESSAGE)
            + usd("lambda_request", 1)
            + usd(f"lambda_{architecture()}", self.gb_seconds("web-links"))
            + usd("publish", 1)
            + usd("log", self.look.link_log_bytes / 1e9)
        )

    def a_look(self):
        """What an average look costs."""
        of_looks = [amount for name, amount in self.bill().items() if name != "links"]
        return sum(of_looks) / 1e6 * ORDERS_A_DAY / sum(self.looks(WAIT_SECONDS))

    def customer_looks(self):
        return WAIT_SECONDS / self.soon + (CUSTOMER_MINUTES * 60 - WAIT_SECONDS) / self.later

    def by_wait(self):
        rows = [
            [f"{wait:,} s", f"{sum(self.looks(wait)) / ORDERS_A_DAY:.0f}", f"${sum(self.bill(wait).values()):,.2f}"] for wait in WAITS
        ]
        return markdown(["an order waits", "looks an order", "a million orders"], rows)
