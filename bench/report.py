#!/usr/bin/env python3
"""Shows what `make bench` measured: the tables of docs/performance.md, the plot beside it, the ratios in README.md.

First it merges the results of a new run, whose file is its argument, into docs/performance.json.
"""

import json
import platform
import re
import sys
from datetime import date
from pathlib import Path

from billing import ROOT, Prices, architecture, billed_ms, gb_seconds

RESULTS = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "performance.svg"
README = ROOT / "README.md"

# The rule by which the template's memory is chosen: how long a start and its first invocation may take, and how much
# more a million orders may cost for it.
MOST_MS = 20
MOST_USD = 1

WORDS = ("no", "one", "two", "three", "four", "five", "six")
NAMES = {"hello": "bare Rust", "rust": "Rust", "python": "Python", "node": "Node"}
COLORS = {"hello": "#9aa0a6", "rust": "#c2410c", "python": "#2563eb", "node": "#15803d"}
COLUMNS = [
    ("init", "init_ms", "ms"),
    ("first invocation", "first_ms", "ms"),
    ("both", "init_and_first_ms", "ms"),
    ("processor time of both", "cpu_ms", "ms"),
    ("warm p50", "warm_p50_ms", "ms"),
    ("warm p99", "warm_p99_ms", "ms"),
    ("peak memory", "peak_mb", "MB"),
]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(megabytes):
    return f"{megabytes:.2f}" if megabytes >= 0.1 else f"{megabytes:.3f}"


def table(subjects, speed):
    heads = ["function", "in", *(f"{name}, {unit}" for name, _, unit in COLUMNS), "starts"]
    rows = [
        [subject["function"] or "none", NAMES[subject["variant"]]]
        + [number(subject[speed][key]) for _, key, _ in COLUMNS]
        + [str(subject[speed]["starts"])]
        for subject in subjects
    ]
    return markdown(heads, rows)


def sizes(subjects):
    rows = []
    for subject in subjects:
        zipped, unzipped = (size(subject[f"{kind}_bytes"] / 1e6) for kind in ("zipped", "unzipped"))
        row = [subject["function"] or "none", NAMES[subject["variant"]], zipped, unzipped]
        if many := subject["many"]:
            row += [f"{many['early_mb']:.2f}", f"{many['late_mb']:.2f}"]
        rows.append(row + ["", ""][len(row) - 4 :])
    return markdown(
        ["function", "in", "zipped, MB", "unzipped, MB", "memory after 1,000 invocations, MB", "after 10,000, MB"], rows
    )


def markdown(heads, rows):
    """A table; columns of nothing but figures stand to the right."""
    columns = zip(*rows, strict=True)
    rule = ["---:" if not any(re.search("[a-z]", str(cell)) for cell in column) else "---" for column in columns]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [heads, rule, *rows])


def ratios(subjects, speed):
    """For each function, how its figures relate to those of the others."""
    by = {(subject["variant"], subject["function"]): subject[speed] for subject in subjects}
    for name in (subject["function"] for subject in subjects if subject["variant"] == "python"):
        ours = by["rust", name]
        yield {
            "function": name,
            "init / bare Rust": ours["init_ms"] / by["hello", None]["init_ms"],
            "init / Python": ours["init_ms"] / by["python", name]["init_ms"],
            "init / Node": ours["init_ms"] / by["node", name]["init_ms"],
            "first / warm p50": ours["first_ms"] / ours["warm_p50_ms"],
            "Python / Rust, both": by["python", name]["init_and_first_ms"] / ours["init_and_first_ms"],
            "Node / Rust, both": by["node", name]["init_and_first_ms"] / ours["init_and_first_ms"],
        }


def ratio_table(subjects, speed):
    found = list(ratios(subjects, speed))
    heads = list(found[0])
    rows = [[row["function"], *(f"{row[head]:.2f}" if row[head] < 10 else f"{row[head]:.0f}" for head in heads[1:])] for row in found]
    return markdown(heads, rows)


def plot(results):
    """Init and first invocation as stacked bars, a panel for each speed."""
    panels = [("full", "At full speed")]
    if all(subject["limited"] for subject in results["subjects"]):
        panels.append(("limited", f"With the share of a core of {results['memory_mb']} MB"))
    left, width, bar, gap, top = 190, 560, 18, 6, 64
    height = top + len(panels) * (len(results["subjects"]) * (bar + gap) + 60)
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 110} {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{left + width + 110}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="28" font-size="17" font-weight="600">From start to the end of the first invocation, over TLS</text>',
        '<text x="16" y="48" fill="#5f6368">medians; init dark, first invocation light; milliseconds</text>',
    ]
    y = top
    for speed, title in panels:
        y += 24
        svg.append(f'<text x="16" y="{y}" font-weight="600">{title}</text>')
        y += 10
        longest = max(subject[speed]["init_and_first_ms"] for subject in results["subjects"])
        for subject in results["subjects"]:
            figures, color = subject[speed], COLORS[subject["variant"]]
            name = f"{subject['function']}, {NAMES[subject['variant']]}" if subject["function"] else "nothing, bare Rust"
            init, first = (figures[key] / longest * width for key in ("init_ms", "first_ms"))
            svg += [
                f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{name}</text>',
                f'<rect x="{left}" y="{y}" width="{init:.1f}" height="{bar}" fill="{color}"/>',
                f'<rect x="{left + init:.1f}" y="{y}" width="{first:.1f}" height="{bar}" fill="{color}" opacity="0.45"/>',
                f'<text x="{left + init + first + 6:.1f}" y="{y + 14}">{number(figures["init_and_first_ms"])}</text>',
            ]
            y += bar + gap
        y += 20
    return "\n".join([*svg, "</svg>", ""])


def put(path, name, text):
    """Puts the text between a page's markers of that name."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    page = path.read_text()
    if begin not in page:
        raise SystemExit(f"error: {path} has no place for {name}: {begin}")
    path.write_text(re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.S))


def machine(cores):
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{cores} cores of {model.group(1).strip() if model else platform.machine()}"


def chosen(sizes):
    """For each size of memory, how long a start with its first invocation takes at most, and what a million orders cost in
    Lambda; and the size that the rule takes, if any."""
    prices = Prices()
    found = {}
    for memory in sorted({row["memory_mb"] for row in sizes["rows"]}):
        rows = [row for row in sizes["rows"] if row["memory_mb"] == memory]
        usd = 0
        for row in rows:
            times = (row["figures"][key] for key in ("warm_p50_ms", "init_ms", "first_ms"))
            duration = gb_seconds(billed_ms(row["function"], *times), memory)
            # An order is opened and closed: two messages, at worst in two invocations.
            times_invoked = 2 if row["function"] == "open-orders" else 1
            usd += 1e6 * times_invoked * (prices.usd("lambda_request", 1) + prices.usd(f"lambda_{architecture()}", duration))
        found[memory] = {
            "share": rows[0]["cores_when_limited"],
            "both": {row["function"]: row["figures"]["init_and_first_ms"] for row in rows},
            "usd": usd,
        }
    least = found[min(found)]["usd"]
    for size in found.values():
        size["more"] = size["usd"] - least
    fits = [m for m, s in found.items() if max(s["both"].values()) <= MOST_MS and s["more"] < MOST_USD]
    return found, min(fits, default=None)


def sizes_table(sizes):
    found, choice = chosen(sizes)
    heads = ["memory, MB", "of a core", *(f"`{name}`, both, ms" for name in found[min(found)]["both"])]
    heads += ["Lambda, a million orders", "more than at the least"]
    rows = [
        [f"**{memory:,}**" if memory == choice else f"{memory:,}", f"{size['share']:.3f}"]
        + [number(both) for both in size["both"].values()]
        + [f"${size['usd']:.2f}", f"${size['more']:.2f}"]
        for memory, size in found.items()
    ]
    detailed = [
        [f"{row['memory_mb']:,}", row["function"]]
        + [number(row["figures"][key]) for _, key, _ in COLUMNS]
        + [row["figures"]["starts"]]
        for row in sizes["rows"]
    ]
    names = [f"{name}, {unit}" for name, _, unit in COLUMNS]
    taken = f"In this run, the rule takes {choice:,} MB" if choice else "In this run, no size keeps the rule"
    return (
        f"Measured on {sizes['date']} with {sizes['machine']}, with the share of a core that each size gets"
        f"{sizes.get('note', '')}. **{taken}**:"
        f" the least memory at which start and first invocation of each function take at most {MOST_MS} ms together, as"
        f" long as a million orders cost less than ${MOST_USD} more for it. [What the template has, and"
        f" why](#what-the-figures-decided).\n\n{markdown(heads, rows)}\n\n"
        f"{markdown(['memory, MB', 'function', *names, 'starts'], detailed)}"
    )


def pages_tables(pages):
    """What the functions of the web pages need, and what a look at a page takes."""
    size_of = {f["function"]: f for f in pages["functions"]}
    heads = ["memory, MB", "of a core", "function", *(f"{name}, {unit}" for name, _, unit in COLUMNS), "starts"]
    rows = [
        [f"**{row['memory_mb']:,}**" if row["memory_mb"] == pages["memory_mb"] else f"{row['memory_mb']:,}"]
        + [f"{row['cores_when_limited']:.3f}", row["function"]]
        + [number(row["figures"][key]) for _, key, _ in COLUMNS]
        + [row["figures"]["starts"]]
        for row in pages["rows"]
    ]
    archives = [
        [name, *(size(f[f"{kind}_bytes"] / 1e6) for kind in ("zipped", "unzipped"))]
        + [f"{f['many'][f'{when}_mb']:.2f}" for when in ("early", "late")]
        for name, f in size_of.items()
    ]
    views = []
    for view in pages["views"]:
        calls = dict(view["calls"])
        queries, revocations = calls.pop("Query", 0), calls.pop("GetItem", 0)
        if calls:
            raise SystemExit(f"error: a look at a page makes calls of AWS that the table has no place for: {calls}")
        views.append(
            [view["name"], view["status"], number(view["cpu_ms"]), number(view["p50_ms"]), number(view["p99_ms"])]
            + [f"{view['answer_bytes']:,}", view["looks"], f"{queries:,}", f"{queries / view['looks']:.0f}", revocations]
        )
    look = ["a look at", "status", "processor time, ms", "p50, ms", "p99, ms", "bytes, with headers", "looks"]
    look += ["queries in all", "queries a look", "reads of revocations in all"]
    return (
        f"Measured on {pages['date']} with {pages['machine']}. The template has {pages['memory_mb']:,} MB.\n\n{markdown(heads, rows)}\n\n"
        f"{markdown(['function', 'zipped, MB', 'unzipped, MB', 'memory after 1,000 invocations, MB', 'after 10,000, MB'], archives)}\n\n"
        f"A restaurant's page of {pages['open_orders']} orders that wait and {pages['closed_orders']} of the last hour, with"
        f" {pages['memory_mb']:,} MB:\n\n{markdown(look, views)}"
    )


def dated(results):
    return {"date": date.today().isoformat(), "machine": machine(results["cores"]), **results}


def main():
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for path in sys.argv[1:]:
        new = json.loads(Path(path).read_text())
        for part in ("sizes", "pages"):
            if new.get(part):
                new[part] = dated(new[part])
        results |= dated(new) if "subjects" in new else new
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    subjects = results["subjects"]
    share = f"{results['cores_when_limited']:.3f} of a core, the share of a function with {results['memory_mb']:,} MB"
    text = [
        f"Measured on {results['date']} with {results['machine']}.",
        f"### At full speed\n\n{table(subjects, 'full')}",
        f"### Ratios at full speed\n\n{ratio_table(subjects, 'full')}",
    ]
    speeds = ["full"]
    if subjects[0]["limited"]:
        speeds.append("limited")
        text.append(f"### With {share}\n\n{table(subjects, 'limited')}")
        text.append(f"### Ratios with that share\n\n{ratio_table(subjects, 'limited')}")
    if results.get("sizes"):
        text.append(f"### How much memory\n\n{sizes_table(results['sizes'])}")
    text.append(f"### Size, and memory over time\n\n{sizes(subjects)}")
    put(PAGE, "figures", "\n\n".join(text))
    if results.get("pages"):
        put(PAGE, "pages", pages_tables(results["pages"]))
    PLOT.write_text(plot(results))

    least = {
        (speed, other): min(row[f"{other} / Rust, both"] for row in ratios(subjects, speed))
        for speed in speeds
        for other in ("Python", "Node")
    }
    compared = [row["function"] for row in ratios(subjects, "full")]
    sentences = [
        f"On a whole core, a cold start of one of the workflow's {WORDS[len(compared)]} functions, with its first request, is at"
        f" least {int(least['full', 'Python'])} times as fast as that of the same function in Python and"
        f" {int(least['full', 'Node'])} times as fast as in Node",
    ]
    if "limited" in speeds:
        sentences.append(
            f"; with the CPU share of {results['memory_mb']:,} MB, {int(least['limited', 'Python'])} and"
            f" {int(least['limited', 'Node'])} times"
        )
    ours = [subject for subject in subjects if subject["variant"] == "rust"]
    peak, zipped = max(s["full"]["peak_mb"] for s in ours), max(s["zipped_bytes"] for s in ours) / 1e6
    others = "".join(f", and `{s['function']}`," for s in ours if s["function"] not in compared)
    sentences.append(
        f". Each of the {WORDS[len(compared)]}{others} needs at most {peak:.0f} MB of memory and has an archive of at most"
        f" {zipped:.1f} MB."
    )
    if results.get("sizes"):
        found, _ = chosen(results["sizes"])
        if ours_mb := found.get(results["memory_mb"]):
            measured = [*ours_mb["both"].values(), *(s["limited"]["init_and_first_ms"] for s in ours if s["limited"])]
            slowest, more = max(measured), ours_mb["more"]
            sentences.append(
                f" With {results['memory_mb']:,} MB, such a cold start took at most {slowest:.0f} ms in this run, for"
                f" ${more:.2f} per million orders more than with {min(found)} MB."
            )
    put(README, "performance", "".join(sentences))


if __name__ == "__main__":
    main()
