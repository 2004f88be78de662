#!/usr/bin/env python3
"""Measures how a restaurant's view of its open orders scales, on the stack that `stack.py run` deployed. Run by `make desks`.

- What a look takes (`orderctl inbox`, the whole command): of 10 open orders, with more and more other rows in the table,
  and while orders are placed. Kinds of look take turns.
- Whether desks miss anything: many watch one restaurant at once while orders are placed.
- How soon a desk sees an order after it was placed, at which rate.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
from orders import Orders, example
from stack import ROOT, StackError, aws, outputs, say, target

ORDERCTL = target() / "debug" / "orderctl"
LOOKS = 15
OPEN, OTHERS, CLOSED = 10, 10_000, 1_000
DESKS = 50
# How many orders are placed in a second, one rate after the other, and for how many seconds.
RATES, SECONDS = [1, 5, 10, 15, 20], 15
# How long after the last order a desk may still see it.
LATE_SECONDS = 60


def main():
    found = outputs()
    aws("stepfunctions")  # The client is made before the threads that share it.
    table, orders = boto3.resource("dynamodb").Table(found["OpenOrdersTableName"]), Orders(found)
    # One after the other: each needs the machine for itself.
    looks(table, orders)
    desks(orders)
    rates(orders)


# What a look takes.


def looks(table, orders):
    say(f"Writing rows: {OPEN} open orders of each of two restaurants, {CLOSED:,} closed ones of one of them")
    fill(table, "few", OPEN)
    fill(table, "closed", OPEN)
    fill(table, "closed", CLOSED, closed=True)
    took = {"of a restaurant with nothing else": [], f"of one with {CLOSED:,} closed orders": []}
    for _ in range(LOOKS):
        for name, restaurant in zip(took, ("few", "closed"), strict=True):
            took[name].append(look(restaurant))
    say(f"Writing {OTHERS:,} open orders of other restaurants")
    for number in range(100):
        fill(table, f"other-{number}", OTHERS // 100)
    took[f"with {OTHERS:,} open orders of others"] = [look("few") for _ in range(LOOKS)]
    took["beside 10 new orders a second"] = []
    with placing(orders, 10, "busy"):
        time.sleep(3)
        for _ in range(LOOKS):
            took["beside 10 new orders a second"].append(look("few"))
    base = statistics.median(took["of a restaurant with nothing else"])
    rows = [[name, whole(statistics.median(ms)), whole(max(ms)), f"{statistics.median(ms) / base:.2f}"] for name, ms in took.items()]
    show(f"A look at {OPEN} open orders", ["a look", "median, ms", "longest, ms", "ratio"], rows)


def fill(table, restaurant, count, closed=False):
    """Writes rows as `open-orders` does."""
    now = datetime.now(timezone.utc)
    later, order = now + timedelta(seconds=600), example()
    with table.batch_writer() as batch:
        for number in range(count):
            key = {"restaurant_id": restaurant, "order_id": f"{'closed' if closed else 'open'}-{number}"}
            if closed:
                rest = {"status": "ACCEPTED", "closed_at": rfc3339(now), "expires_at": int(now.timestamp()) + 3600}
            else:
                rest = {name: order[name] for name in ("items", "currency")}
                rest |= {"total_amount": 2500, "respond_by": rfc3339(later), "task_token": "t" * 1024}
                rest["expires_at"] = int(later.timestamp()) + 3600
            batch.put_item(Item=key | rest)


def look(restaurant):
    """How long a look takes, in milliseconds."""
    begun = time.monotonic()
    done = orderctl("inbox", "--restaurant", restaurant, stdout=subprocess.PIPE)
    orders = json.loads(done.communicate()[0])
    took = (time.monotonic() - begun) * 1000
    if len(orders) != OPEN:
        raise StackError(f"{restaurant} has {OPEN} open orders, and a look shows {len(orders)}")
    return took


# Desks, which watch.


class Desk:
    """A watched inbox: when it showed which order, and how often."""

    def __init__(self, restaurant):
        self.shown = {}
        self.process = orderctl("inbox", "--restaurant", restaurant, "--watch", stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            order = json.loads(line)
            if "respond_by" in order:
                self.shown.setdefault(order["order_id"], []).append(time.time())

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()


def desks(orders):
    say(f"{DESKS} desks watch one restaurant, 5 orders a second for {SECONDS} s")
    watching = [Desk("watched") for _ in range(DESKS)]
    try:
        with placing(orders, 5, "watched", SECONDS) as placed:
            pass
        wait_for(watching, placed)
    finally:
        for desk in watching:
            desk.close()
    missed = sum(order not in desk.shown for desk in watching for order in placed)
    twice = sum(len(times) > 1 for desk in watching for times in desk.shown.values())
    took = [desk.shown[order][0] - at for desk in watching for order, at in placed.items() if order in desk.shown]
    row = [DESKS, len(placed), missed, twice, *seconds(took)]
    show("Many desks at once", ["desks", "orders", "missed", "shown twice", "p50, s", "p95, s", "longest, s"], [row])


def rates(orders):
    rows = []
    for rate in RATES:
        say(f"One desk, {rate} orders a second for {SECONDS} s")
        desk = Desk(f"rate-{rate}")
        try:
            with placing(orders, rate, f"rate-{rate}", SECONDS) as placed:
                pass
            wait_for([desk], placed)
        finally:
            desk.close()
        took = [desk.shown[order][0] - at for order, at in placed.items() if order in desk.shown]
        span = max(placed.values()) - min(placed.values())
        reached = (len(placed) - 1) / span
        rows.append([rate, f"{reached:.1f}", len(placed), len(placed) - len(took), *seconds(took)])
    heads = ["orders a second, wanted", "placed", "orders", "missed", "p50, s", "p95, s", "longest, s"]
    show("From placing an order to its place on a desk", heads, rows)


def wait_for(watching, placed):
    deadline = time.monotonic() + LATE_SECONDS
    while time.monotonic() < deadline and any(order not in desk.shown for desk in watching for order in placed):
        time.sleep(0.2)


@contextmanager
def placing(orders, rate, restaurant, duration=None):
    """Places orders at a rate: for some seconds, or for as long as the block runs. Gives when each was placed."""
    placed, ended = {}, threading.Event()

    def place(order_id):
        order = example(order_id=order_id, restaurant_id=restaurant)
        placed[order_id] = time.time()
        orders.place(order)

    def go_on():
        begun = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            number = 0
            while not ended.is_set() and (duration is None or number < rate * duration):
                time.sleep(max(0, begun + number / rate - time.monotonic()))
                pool.submit(place, f"{restaurant}-{rate}-{number}")
                number += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        if duration is not None:
            thread.join()
        yield placed
    finally:
        ended.set()
        thread.join()


def orderctl(*arguments, **settings):
    return subprocess.Popen([ORDERCTL, *arguments, "--output", "json"], cwd=ROOT, env=os.environ, **settings)


def seconds(took):
    took = sorted(took)
    return [f"{value:.2f}" for value in (took[len(took) // 2], took[int(len(took) * 0.95)], took[-1])]


def whole(ms):
    return f"{ms:.0f}"


def rfc3339(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show(title, heads, rows):
    print(f"\n{title}\n")
    for row in [heads, ["---:"] * len(heads), *rows]:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
