"""What AWS bills: the list prices of bench/prices.json, and how a call of a function is billed."""

import json
import math
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What was not measured; docs/cost.md says why these. The waits are those of a function for DynamoDB, SNS and KMS.
WAIT_MS = {"save-order": 5, "update-status": 5, "notify-user": 15, "open-orders": 5, "web": 5, "web-links": 30}
COLD_SHARE = 0.01


class Prices:
    def __init__(self):
        self.file = json.loads((ROOT / "bench" / "prices.json").read_text())

    def usd(self, name, count):
        price = self.file["prices"][name]
        return count * price["usd"] / price["per"]


def architecture():
    """The processor that the template takes by default."""
    return re.search(r"Architecture:\n.*?Default: (\w+)", (ROOT / "template.yaml").read_text(), re.DOTALL)[1]


def warm_ms(function, warm):
    return math.ceil(warm + WAIT_MS[function])


def cold_ms(function, init, first):
    return math.ceil(init + first + WAIT_MS[function])


def billed_ms(function, warm, init, first, cold_share=COLD_SHARE):
    """The billed time of an average call, in milliseconds."""
    return (1 - cold_share) * warm_ms(function, warm) + cold_share * cold_ms(function, init, first)


def gb_seconds(billed, memory_mb):
    return billed / 1000 * memory_mb / 1024
