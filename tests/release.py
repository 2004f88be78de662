#!/usr/bin/env python3
"""Deploys changed parameters while an order waits for its restaurant: the order ends by what is deployed then, and another
link epoch invalidates every link that was made before."""

import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "local"))
import web
from orders import Orders, example
from stack import BUILD, StackError, deploy, outputs, say


def expect(what, found, expected):
    say(f"{what}: {found}")
    if found != expected:
        raise StackError(f"{what} should be {expected}")


def new_link():
    return web.link(outputs(), "restaurant", "rest-7")


def main():
    orders = Orders(outputs())
    link = new_link()
    expect("A link before the deployment", web.status(link), 200)
    order = example(order_id="ord-waits")
    execution = orders.place(order)
    token = orders.token(order)
    expect("Whether the order is kept for ever", "expires_at" not in orders.item("ord-waits"), True)

    deploy(BUILD, "OrderRetentionDays=30", f"LinkEpoch={secrets.token_hex(16)}")

    expect("A link made before another epoch", web.status(link), 403)
    expect("A link made in that epoch", web.status(new_link()), 200)
    orders.answer(token, {"isAccepted": True})
    expect("The order's execution", orders.end(execution)["status"], "SUCCEEDED")
    item = orders.item("ord-waits")
    expect("The order's status", item["status"]["S"], "ACCEPTED")
    expect("Whether the changed parameter reached the order", "expires_at" in item, True)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
