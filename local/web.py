#!/usr/bin/env python3
"""The web pages on a local AWS of their own: places orders of two restaurants from time to time and prints the links to
them, until Ctrl-C."""

import base64
import itertools
import random
import sys
import time
import urllib.parse
from contextlib import closing
from http.client import HTTPConnection

from orders import Orders, example
from stack import StackError, aws, outputs, say, temporary_stack

RESTAURANTS = ["rest-7", "Cafe 8"]
# Pauses between two orders, in seconds.
PAUSES = (5, 25)
HOUR = 60 * 60


def link(found, kind, name, valid=12 * HOUR):
    """A link to a page, as `orderctl link` makes it (crates/links)."""
    issued = int(time.time())
    expires = issued + valid
    key = found["CustomerLinksKeyArn" if kind == "customer" else "RestaurantLinksKeyArn"]
    text = f"order-workflow link 1\n{found['LinkEpoch']}\n{kind}\n{issued}\n{expires}\n{name}"
    signed = aws("kms").sign(KeyId=key, Message=text.encode(), MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")
    signature = base64.urlsafe_b64encode(signed["Signature"]).decode().rstrip("=")
    quoted = urllib.parse.quote(name, safe="-._~")
    return f"{found['WebUrl']}/{kind}?id={quoted}&s={signature}&i={issued}&e={expires}"


def connect(link, seconds):
    """A connection to the pages, whose name only browsers and curl resolve to this machine; calls take these seconds at most."""
    return HTTPConnection("127.0.0.1", urllib.parse.urlsplit(link).port, timeout=seconds)


def look(connection, link, etag=None):
    """Looks at a page as its script does, which sends the tag of what it shows; gives the response and its body."""
    address = urllib.parse.urlsplit(link)
    headers = {"Host": address.netloc} | ({"If-None-Match": etag} if etag else {})
    connection.request("GET", f"{address.path}?{address.query}", headers=headers)
    response = connection.getresponse()
    return response, response.read()


def answer(link, origin=None, **form):
    """Answers an order by a link, as a program does, or as a browser does that shows a page of `origin`; gives the status of the
    response."""
    address = urllib.parse.urlsplit(link)
    headers = {"Host": address.netloc, "Content-Type": "application/x-www-form-urlencoded"} | ({"Origin": origin} if origin else {})
    with closing(connect(link, 30)) as connection:
        connection.request("POST", f"{address.path}?{address.query}", urllib.parse.urlencode(form), headers)
        return connection.getresponse().status


def status(link):
    """How the pages answer a look."""
    with closing(connect(link, 30)) as connection:
        return look(connection, link)[0].status


def main():
    # Without optimization, which takes most of a first build: the first order comes sooner.
    with temporary_stack(quick=True):
        found, order = outputs(), example()
        say("Open these in a browser on this machine. Ctrl-C stops all.")
        for restaurant in RESTAURANTS:
            print(f"    {restaurant}: {link(found, 'restaurant', restaurant)}", flush=True)
        for number in itertools.count(1):
            restaurant = random.choice(RESTAURANTS)
            order |= {"order_id": f"ord-{int(time.time())}-{number}", "restaurant_id": restaurant}
            ordered = order | {"items": random.sample(order["items"], random.randint(1, len(order["items"])))}
            Orders(found).place(ordered)
            customer = link(found, "customer", order["order_id"])
            print(f"    {order['order_id']} for {restaurant}, its customer's page: {customer}", flush=True)
            time.sleep(random.uniform(*PAUSES))


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(0)
