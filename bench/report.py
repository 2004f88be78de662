#!/usr/bin/env python3
"""Shows what `make bench` measured: the tables of docs/performance.md, the plot beside it, the ratios in README.md.

First it merges the results of a new run, whose file is its argument, into docs/performance.json. Of earlier runs, that file
keeps how many times as long as in Rust a cold start took.
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

NAMES = {"hello": "bare Rust", "rust": "Rust", "python": "Python", "node": "Node"}
COLORS = {"hello": "#9aa0a6", "rust": "#c2410c", "python": "#2563eb", "node": "#15803d"}
TOOK = "init_and_first_ms"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(megabytes):
    return f"{megabytes:.2f}" if megabytes >= 0.1 else f"{megabytes:.3f}"


def functions_table(results):
    heads = ["function", "in", "cold start, ms", f"with the share of {results['memory_mb']:,} MB, ms"]
    heads += ["warm p50, ms", "peak, MB", "zipped, MB"]
    rows = []
    for subject in results["subjects"]:
        full, limited = subject["full"], subject["limited"]
        figures = [full[TOOK], limited[TOOK], full["warm_p50_ms"], full["peak_mb"]]
        named = [subject["function"] or "none", NAMES[subject["variant"]]]
        rows.append([*named, *map(number, figures), size(subject["zipped_bytes"] / 1e6)])
    return markdown(heads, rows)


def markdown(heads, rows):
    """A table; columns of nothing but figures stand to the right."""
    columns = zip(*rows, strict=True)
    rule = ["---:" if not any(re.search("[a-z]", str(cell)) for cell in column) else "---" for column in columns]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [heads, rule, *rows])


def compared(results):
    """How many times as long as in Rust a cold start takes in Python and in Node: the least and the most of the functions."""
    times = {}
    for speed in ("full", "limited"):
        took = {(s["variant"], s["function"]): s[speed][TOOK] for s in results["subjects"]}
        for other in ("python", "node"):
            found = [ms / took["rust", name] for (variant, name), ms in took.items() if variant == other]
            times[f"{other}, {speed}"] = [int(min(found)), round(max(found))]
    return {key: results[key] for key in ("date", "machine", "memory_mb")} | {"times": times}


def plot(results):
    """Init and first invocation as stacked bars, a panel for each speed."""
    panels = [("full", "At full speed"), ("limited", f"With the share of a core of {results['memory_mb']} MB")]
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
    heads = ["memory, MB", "of a core", "slowest cold start, ms", "a million orders", "more"]
    rows = [
        [f"**{memory:,}**" if memory == choice else f"{memory:,}", f"{size['share']:.3f}", number(max(size["both"].values()))]
        + [f"${size['usd']:.2f}", f"${size['more']:.2f}"]
        for memory, size in found.items()
    ]
    taken = f"In this run, the rule takes {choice:,} MB" if choice else "In this run, no size keeps the rule"
    return (
        f"Measured on {sizes['date']} with {sizes['machine']}. **{taken}**: the least memory at which each"
        f" cold start takes at most {MOST_MS} ms, as long as a million orders cost less than ${MOST_USD} more for it in Lambda."
        f" [What the template has, and why](#what-the-figures-decided).\n\n{markdown(heads, rows)}"
    )


def pages_tables(pages):
    """What the functions of the web pages need, and what a look at a page takes."""
    names = [f["function"] for f in pages["functions"]]
    by = {(row["memory_mb"], row["function"]): row for row in pages["rows"]}
    rows = []
    for memory in sorted({memory for memory, _ in by}):
        row = [f"**{memory:,}**" if memory == pages["memory_mb"] else f"{memory:,}"]
        rows.append(row + [number(by[memory, name]["figures"][TOOK]) for name in names])
    heads = ["memory, MB", *(f"`{name}`, cold start, ms" for name in names)]
    views = []
    for view in pages["views"]:
        if more := view["calls"].keys() - {"Query", "GetItem"}:
            raise SystemExit(f"error: a look at a page makes calls of AWS that the table has no place for: {more}")
        views.append(
            [view["name"], *(number(view[key]) for key in ("cpu_ms", "p99_ms"))]
            + [f"{view['answer_bytes']:,}", round(view["calls"].get("Query", 0) / view["looks"])]
        )
    look = ["a look at", "processor time, ms", "p99, ms", "bytes, with headers", "queries"]
    zipped = ", ".join(f"`{f['function']}` {size(f['zipped_bytes'] / 1e6)}" for f in pages["functions"])
    return (
        f"Measured on {pages['date']} with {pages['machine']}. The template has {pages['memory_mb']:,} MB. Zipped, in MB: {zipped}."
        f"\n\n{markdown(heads, rows)}\n\nA restaurant's page of {pages['open_orders']} orders that wait and"
        f" {pages['closed_orders']} of the last hour, with {pages['memory_mb']:,} MB:\n\n{markdown(look, views)}"
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
        if "subjects" in new:
            if not all(subject["limited"] for subject in new["subjects"]):
                raise SystemExit("error: nothing was measured with a share of a core: `make bench`, as root")
            results["earlier"] = [*results.get("earlier", []), *([compared(results)] if "subjects" in results else [])]
            new = dated(new)
        results |= new
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    subjects, share = results["subjects"], f"{results['memory_mb']:,} MB"
    runs = [*results.get("earlier", []), compared(results)]
    kinds = list(runs[-1]["times"])
    heads = ["Node" if kind.startswith("node") else "Python" for kind in kinds]
    heads = [f"{name}, {'whole core' if kind.endswith('full') else 'share'}" for name, kind in zip(heads, kinds, strict=True)]
    rows = [
        [run["date"], f"{run['memory_mb']:,}", *("{}–{}".format(*run["times"][kind]) for kind in kinds)]
        for run in runs
    ]
    late = max(s["many"]["late_mb"] for s in [*subjects, *results["pages"]["functions"]] if s["many"])
    text = [
        "### At full speed",
        f"Measured on {results['date']} with {results['machine']}; {share} get {results['cores_when_limited']:.3f} of a core."
        f" After 10,000 invocations, no Rust function has more than {late:.1f} MB.",
        functions_table(results),
        "How many times as long as in Rust a cold start takes, by function, in each run that is kept:",
        markdown(["run", "share of, MB", *heads], rows),
        f"### How much memory\n\n{sizes_table(results['sizes'])}",
    ]
    put(PAGE, "figures", "\n\n".join(text))
    put(PAGE, "pages", pages_tables(results["pages"]))
    PLOT.write_text(plot(results))

    def over_runs(speed):
        ranges = []
        for other in ("python", "node"):
            least, most = zip(*(run["times"][f"{other}, {speed}"] for run in runs), strict=True)
            ranges.append(f"{min(least)} to {max(most)}")
        return ranges

    shares = " or ".join(f"{memory:,}" for memory in sorted({run["memory_mb"] for run in runs}))
    ours = [subject for subject in subjects if subject["variant"] == "rust"]
    peak, zipped = max(s["full"]["peak_mb"] for s in ours), max(s["zipped_bytes"] for s in ours) / 1e6
    sizes = chosen(results["sizes"])[0]
    size_of_ours = sizes[results["memory_mb"]]
    slowest = max(*size_of_ours["both"].values(), *(s["limited"][TOOK] for s in ours))
    put(
        README,
        "performance",
        "On a whole core, a cold start with its first request took {} times as long in Python as in Rust, and {} times in Node"
        .format(*over_runs("full"))
        + f" ({len(runs)} runs); with the CPU share of {shares} MB, {{}} and {{}} times.".format(*over_runs("limited"))
        + f" Each of the three functions, and `open-orders`, needs at most {peak:.0f} MB of memory and {zipped:.1f} MB of archive."
        f" With {share}, a cold start took at most {slowest:.0f} ms in the last run, for"
        f" ${size_of_ours['more']:.2f} per million orders more than with {min(sizes)} MB.",
    )


if __name__ == "__main__":
    main()
