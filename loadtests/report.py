"""A run's report: one HTML file that needs nothing beside it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from loadtests import charts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff }
table { border-collapse: collapse; margin: 1rem 0; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd;
  overflow-wrap: anywhere }
td.number { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1.5rem 0 } figcaption { font-weight: 600 }
svg { width: 100%; font: 12px system-ui, sans-serif }
.reached { color: #26734d } .missed { color: #a51d2d; font-weight: 600 }
"""
_MEGABYTE = 1024 * 1024


def page(found: Mapping[str, Any]) -> str:
    """The report of the results ``found``."""
    title = f"{found['scenario']}, {found['started_at']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _machine(found),
        _goals(found["goals"]),
        _rates(found),
        *_charts(found),
        _steps(found["steps"]),
        _errors(found["errors"]["causes"]),
        _memory(found["memory"]),
        _raw(found),
        _statements(found.get("statements")),
        _options(found["options"]),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _machine(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    told = (
        f"{machine['cores']} cores, {machine['processor']}, {machine['system']}, Python"
        f" {machine['python']}; load before the run {machine['load_before']:.1f}"
    )
    return f"<p>{escape(told)}</p>"


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            each["told"],
            each["figure"],
            f"{each['bound']} {each['limit']:g}",
            _number(each["measured"]),
            "reached" if each["reached"] else "missed",
        ]
        for each in goals
    ]
    return _table("Goals", ("goal", "figure", "limit", "measured", ""), rows)


def _rates(found: Mapping[str, Any]) -> str:
    latency = found["latency_ms"]
    rows = [
        ["ceremonies a second", _number(found["rate"])],
        ["signatures a second", _number(found["signature_rate"])],
        ["ceremonies, failed", f"{found['ceremonies']}, {found['errors']['total']}"],
        ["p50, p95, p99 of a ceremony", ", ".join(f"{latency[name]:.0f} ms" for name in latency)],
        [
            "bytes sent, received",
            ", ".join(_number(found["bytes"][n]) for n in ("sent", "received")),
        ],
        ["server-side processor time", f"{found['cpu_ms']['server']:.2f} ms a ceremony"],
    ]
    return _table("Figures", ("", ""), rows)


def _charts(found: Mapping[str, Any]) -> list[str]:
    series = found["series"]
    done = {
        "ceremonies": [each["ceremonies"] for each in series],
        "errors": [each["errors"] for each in series],
    }
    times = {name: [each[name] for each in series] for name in ("p50", "p99")}
    cpu = {role: each for role, each in found["cpu_ms"].items() if role != "server"}
    steps = {name: step["latency_ms"]["p99"] for name, step in found["steps"].items()}
    return [
        charts.lines("What ended in each second", "a second", done),
        charts.lines("How long ceremonies took, from when they were due", "ms", times),
        charts.bars("Processor time of a ceremony", "ms", cpu),
        charts.bars("p99 of each step", "ms", steps),
    ]


def _steps(steps: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            _number(step["count"]),
            *(_number(step["latency_ms"][share]) for share in ("p50", "p95", "p99")),
            _number(step["sent"]),
            _number(step["received"]),
        ]
        for name, step in steps.items()
    ]
    columns = ("step", "count", "p50 ms", "p95 ms", "p99 ms", "bytes sent", "received")
    return _table("Steps", columns, rows)


def _errors(causes: Mapping[str, int]) -> str:
    if not causes:
        return ""
    return _table(
        "Errors", ("cause", "count"), [[cause, str(count)] for cause, count in causes.items()]
    )


def _memory(memory: Mapping[str, Any]) -> str:
    rows = [
        [
            role,
            *(
                f"{sizes['start'][name] / _MEGABYTE:.0f} → {sizes['end'][name] / _MEGABYTE:.0f}"
                for name in ("rss", "pss")
            ),
            *(f"{sizes['start'][name]} → {sizes['end'][name]}" for name in ("files", "processes")),
        ]
        for role, sizes in memory.items()
    ]
    return _table("Memory (MB) and files", ("role", "RSS", "PSS", "files", "processes"), rows)


def _raw(found: Mapping[str, Any]) -> str:
    rows = [[name, f"{rate:.0f}/s"] for name, rate in found["raw"].items()]
    rows += [[name, f"{ratio:.3f}"] for name, ratio in found["ratios"].items()]
    return _table("The same token alone, and against it", ("", ""), rows)


def _statements(counted: Mapping[str, Any] | None) -> str:
    if counted is None:
        return ""
    rows = [
        [each["statement"], _number(each["calls"]), _number(each["milliseconds"])]
        for each in counted["most"]
    ]
    told = (
        f"{counted['work']:.1f} statements, {counted['rows_written']:.1f} rows written,"
        f" {counted['database_ms']:.2f} ms of execution a ceremony"
    )
    return f"<p>{escape(told)}</p>" + _table("Statements", ("statement", "calls", "ms"), rows)


def _options(options: Mapping[str, Any]) -> str:
    return _table("Options", ("", ""), [[name, str(value)] for name, value in options.items()])


def _table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<h2>{escape(title)}</h2>{table}"


def _cell(text: str) -> str:
    if text in {"reached", "missed"}:
        return f'<td class="{text}">{text}</td>'
    number = text.replace(".", "").replace(",", "").isdigit()
    return f'<td class="number">{text}</td>' if number else f"<td>{escape(text)}</td>"


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"  # noqa: PLR2004 - three digits
