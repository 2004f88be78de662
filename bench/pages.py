#!/usr/bin/env python3
"""Whether restaurants' pages miss orders under load, on the stack that `stack.py run` deployed. Run by `make desks`.

First the highest rate that `make load` sustains without pages: its orders, all placed at once, divided by the seconds until
the last one ended. Then 80 % of it, while 50 pages look as their script does. Each order is answered after a while, and
then each look of each page is audited:

- no order is missed: each page of its restaurant showed it before it was answered;
- none is shown twice: neither two times on one page, nor again after it was gone;
- none stays: no page shows it for longer than the pause between two looks after it was closed.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

from desks import show
from web_cost import pauses

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import Orders, example, queue
from stack import ROOT, StackError, aws, outputs, say, target
import web

LOAD = target() / "debug" / "load"
LOAD_ORDERS = 300
SHARE = 0.8
PAGES, RESTAURANTS, SECONDS = 50, 25, 90
# How long an order waits for its answer: longer than a page's pause, so that each page must have shown it.
HELD_SECONDS = 20
# The page's pause while nothing waits, and how long a look may take, as in its script; in seconds.
_, LATER = pauses()
PATIENCE = 5


def main():
    found = outputs()
    for service in ("stepfunctions", "sns", "sqs", "kms", "dynamodb"):
        aws(service)  # The client is made before the threads that share it.
    say(f"`make load` with {LOAD_ORDERS} orders, without pages")
    highest = highest_rate()
    rate = SHARE * highest
    say(f"It sustains {highest:.1f} orders a second. {PAGES} pages look, {rate:.1f} orders a second for {SECONDS} s")
    pages = [Page(found, f"page-{number % RESTAURANTS}") for number in range(PAGES)]
    orders = Traffic(found)
    for page in pages:
        page.start()
    try:
        reached = orders.place(rate)
        orders.wait_until_closed()
        # Each page looks once more: it must not show them any more.
        time.sleep(2 * LATER)
    finally:
        for page in pages:
            page.stop()
        orders.stop()
    report(highest, reached, pages, orders)


def highest_rate():
    # It answers by pages where it knows their address.
    environment = {name: value for name, value in os.environ.items() if name != "WebUrl"}
    done = subprocess.run([LOAD, str(LOAD_ORDERS)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    took = re.search(r"orders ended within (\d+) s", done.stdout)
    if done.returncode != 0 or not took:
        raise StackError(f"`make load` failed:\n{done.stdout}{done.stderr}")
    return LOAD_ORDERS / int(took[1])


class Page:
    """A restaurant's page that looks as its script does (crates/web/src/page.js)."""

    def __init__(self, found, restaurant):
        self.restaurant, self.link = restaurant, web.link(found, "restaurant", restaurant)
        # Of each look that was answered: when it began, when it was answered, and the orders that it shows as open.
        self.looks, self.failed, self.unchanged = [], [], 0
        self.ended, self.connection = threading.Event(), None
        self.thread = threading.Thread(target=self.go_on, daemon=True)

    def start(self):
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join()

    def go_on(self):
        etag, shown, pause, opened = None, [], LATER, time.time()
        while not self.ended.is_set():
            begun = time.time()
            try:
                self.connection = self.connection or web.connect(self.link, PATIENCE)
                response, body = web.look(self.connection, self.link, etag)
                if response.status == 200:
                    body = body.decode()
                    etag, shown = response.headers["ETag"], cards(body)
                    pause = int(re.search(r'data-poll="(\d+)"', body)[1]) / 1000
                elif response.status != 304:
                    raise StackError(f"answered {response.status}")
                self.unchanged += response.status == 304
                self.looks.append((begun, time.time(), shown))
            except (OSError, HTTPException, StackError) as error:
                self.failed.append(f"{begun - opened:.0f} s after it was opened: {error}")
                self.connection = None
            self.ended.wait(pause)


def cards(body):
    """The orders that a page shows as waiting."""
    return re.findall(r'<article class="card" id="o-([^"]+)"', body)


class Traffic:
    """Orders of all restaurants, each answered a while after its restaurant was asked."""

    def __init__(self, found):
        self.orders, self.table = Orders(found), found["OpenOrdersTableName"]
        self.placed, self.asked, self.answered, self.closed = {}, {}, {}, {}
        self.pool, self.ended = ThreadPoolExecutor(16), threading.Event()
        self.queue, arn = queue("pages")
        aws("sns").subscribe(
            TopicArn=found["RestaurantTopicArn"],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody"}
            | {"FilterPolicy": json.dumps({"restaurant_id": [{"prefix": "page-"}]})},
        )
        self.restaurants = threading.Thread(target=self.take_messages, daemon=True)
        self.restaurants.start()

    def place(self, rate):
        """Places orders at a rate, and gives the rate that was reached."""
        begun, placing = time.monotonic(), []
        for number in range(int(rate * SECONDS)):
            time.sleep(max(0, begun + number / rate - time.monotonic()))
            placing.append(self.pool.submit(self.place_one, number))
        for placed in placing:
            placed.result()
        return (len(self.placed) - 1) / (max(self.placed.values()) - min(self.placed.values()))

    def place_one(self, number):
        order = example(order_id=f"paged-{number}", restaurant_id=f"page-{number % RESTAURANTS}")
        self.orders.place(order)
        self.placed[order["order_id"]] = time.time()

    def take_messages(self):
        sqs = aws("sqs")
        while not self.ended.is_set():
            for message in sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                order = json.loads(message["Body"])
                if order["order_id"] not in self.asked:
                    self.asked[order["order_id"]] = time.time()
                    threading.Timer(HELD_SECONDS, self.pool.submit, [self.answer, order]).start()

    def answer(self, order):
        self.answered[order["order_id"]] = time.time()
        self.orders.answer(order["task_token"], {"isAccepted": True})

    def wait_until_closed(self):
        """Reads when each order was closed in the table of open orders, once all are."""
        deadline = time.monotonic() + 120
        while len(self.closed) < len(self.placed):
            if time.monotonic() > deadline:
                raise StackError(f"{len(self.placed) - len(self.closed)} of {len(self.placed)} orders were not closed within 120 s")
            time.sleep(3)
            for page in aws("dynamodb").get_paginator("scan").paginate(TableName=self.table):
                for row in page["Items"]:
                    if row["order_id"]["S"] in self.placed and "closed_at" in row:
                        self.closed[row["order_id"]["S"]] = datetime.fromisoformat(row["closed_at"]["S"]).timestamp()

    def stop(self):
        self.ended.set()
        self.restaurants.join()
        self.pool.shutdown()


def report(highest, reached, pages, orders):
    audited = [Audit(page, orders) for page in pages]
    looks = sum(len(page.looks) for page in pages)
    took = sorted(answered - begun for page in pages for begun, answered, _ in page.looks)
    failed = sum(len(page.failed) for page in pages)
    unchanged = sum(page.unchanged for page in pages)
    heads = ["pages", "restaurants", "orders a second without pages", "with pages", "orders", "looks", "answered 304", "failed"]
    heads += ["a look, p50, s", "p95, s", "longest, s"]
    row = [PAGES, RESTAURANTS, f"{highest:.1f}", f"{reached:.1f}", len(orders.placed), f"{looks:,}", f"{unchanged / looks:.0%}", failed]
    show("Pages beside many orders", heads, [row + quantiles(took)])
    heads = ["orders on pages", "missed", "shown twice", f"shown {LATER:.0f} s after they closed", "seen after placing, p50, s", "p95, s"]
    heads += ["longest, s", "gone after closing, p50, s", "p95, s", "longest, s"]
    expected, missed, twice, late = (
        sum(getattr(audit, name) for audit in audited) for name in ("expected", "missed", "twice", "late")
    )
    seen = sorted(seconds for audit in audited for seconds in audit.seen)
    gone = sorted(seconds for audit in audited for seconds in audit.gone)
    show("The audit", heads, [[f"{expected:,}", missed, twice, late, *quantiles(seen), *quantiles(gone)]])
    for page in pages:
        for error in page.failed[:3]:
            print(f"  {page.restaurant}: {error}", file=sys.stderr)
    if missed + twice + late:
        raise StackError("Pages missed orders, or showed them twice or too long: see the table")


class Audit:
    """What a page showed of its restaurant's orders."""

    def __init__(self, page, orders):
        own = [o for o in orders.placed if int(o.removeprefix("paged-")) % RESTAURANTS == int(page.restaurant.removeprefix("page-"))]
        self.expected, self.missed, self.twice, self.late, self.seen, self.gone = len(own), 0, 0, 0, [], []
        for order in own:
            shown = [shown.count(order) for _, _, shown in page.looks]
            if not any(shown):
                self.missed += 1
                continue
            first = next(number for number, count in enumerate(shown) if count)
            last = max(number for number, count in enumerate(shown) if count)
            self.twice += shown[first : last + 1] != [1] * (last + 1 - first)
            self.missed += page.looks[first][1] > orders.answered[order]
            self.seen.append(page.looks[first][1] - orders.placed[order])
            # It is on the screen until the next look is answered.
            gone = page.looks[last + 1][1] if last + 1 < len(page.looks) else float("inf")
            self.gone.append(gone - orders.closed[order])
            self.late += gone - orders.closed[order] > LATER


def quantiles(values):
    return [f"{value:.2f}" for value in (values[len(values) // 2], values[int(len(values) * 0.95)], values[-1])]


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
