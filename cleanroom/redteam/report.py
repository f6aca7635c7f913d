"""The report for people: one self-contained HTML page, for light and dark, for wide screens and telephones."""

from html import escape
from pathlib import Path

from cleanroom.clock import rfc3339
from cleanroom.redteam.chart import plot, strip
from cleanroom.redteam.plants import plant_says
from cleanroom.redteam.run import Report
from cleanroom.redteam.types import AttackResult, Metric, Verdict
from policies.accounting import MICRO, advantage, rho_to_epsilon

JSON_NAME, HTML_NAME = "redteam.json", "redteam.html"

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --text: #1d2127; --muted: #59616b;
  --line: #dfe3e8; --axis: #8b939d; --s0: #5b8def; --s1: #d9622b; --good: #14713d; --good-back: #def3e6;
  --bad: #a1261c; --bad-back: #fbe3e0; --allowed: #dcefe3; }
@media (prefers-color-scheme: dark) { :root { --page: #101317; --card: #191d23; --text: #e7eaee; --muted: #a4adb8;
  --line: #2c323a; --axis: #77808b; --s0: #6f9df5; --s1: #f28a52; --good: #7fdca5; --good-back: #16331f;
  --bad: #ff9d92; --bad-back: #43201c; --allowed: #1d3a29; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 14px 48px; max-width: 1180px; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .35rem 0; }
.muted { color: var(--muted); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px; }
.grid { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr));
  margin-top: 14px; }
.head { display: flex; gap: 10px; align-items: center; justify-content: space-between; }
.badge { border-radius: 999px; padding: 1px 12px; font-weight: 600; white-space: nowrap; }
.resists { color: var(--good); background: var(--good-back); }
.falls { color: var(--bad); background: var(--bad-back); }
.number { font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; margin-top: .6rem; }
th, td { text-align: left; padding: 5px 8px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
td.number, th.number { text-align: right; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12.5px; fill: var(--text); }
svg .tick { fill: var(--muted); font-variant-numeric: tabular-nums; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--axis); }
.allowed { fill: var(--allowed); } .limit { stroke: var(--good); stroke-width: 2.5; }
.whisker { stroke: var(--text); stroke-width: 3; } .dot { fill: var(--text); }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--good); } .s3 { color: var(--muted); }
.bars { fill: currentColor; fill-opacity: .28; stroke: currentColor; stroke-width: 1.5; }
.line { fill: none; stroke: currentColor; stroke-width: 2; }
.points, .key { fill: currentColor; } .points { fill-opacity: .6; }
"""


def write_report(report: Report, directory: Path) -> tuple[Path, Path]:
    """Write both reports into a directory, which is made if it is not there.

    Returns:
        The paths of the JSON and of the HTML file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    as_json, as_html = directory / JSON_NAME, directory / HTML_NAME
    as_json.write_text(report.to_json(), encoding="utf-8")
    as_html.write_text(to_html(report), encoding="utf-8")
    return as_json, as_html


def to_html(report: Report) -> str:
    """Return the report as a page that needs nothing from anywhere else."""
    name = escape(report.policy.name)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Red team: {name}</title><style>{_STYLE}</style></head><body>"
        f"<header class='card'><div class='head'><h1>Red team on the policy “{name}”</h1>"
        f"{_grade(report)}</div>{_summary(report)}{_promises(report)}</header>"
        f"<main class='grid'>{''.join(_attack(report, result) for result in report.results)}</main>"
        f"<footer class='muted'>{_footer(report)}</footer></body></html>\n"
    )


def _summary(report: Report) -> str:
    fallen = [result.name for result in report.results if result.verdict is Verdict.FALLS]
    count = len(report.results)
    if fallen:
        first = (
            f"{len(fallen)} of {count} attacks went further than the policy promises: {', '.join(fallen)}."
        )
    elif report.conclusive:
        first = f"All {count} attacks stayed within what the policy promises."
    else:
        first = "No attack is shown to go further than the policy promises."
    lines = [first]
    if report.plant is not None:
        says = plant_says(report.plant)
        lines.append(
            f"A fault was planted on purpose, {report.plant}: {says} This says nothing of the policy."
        )
    elif not report.conclusive:
        lines.append("Too few games for a verdict: the intervals are too wide, or attacks are missing.")
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _promises(report: Report) -> str:
    limits = report.limits
    rows = "".join(
        f"<tr><td>{who}</td><td class='number'>{advantage(micro / MICRO):.2f}</td>"
        f"<td class='number'>{rho_to_epsilon(micro / MICRO):.2f}</td></tr>"
        for who, micro in (
            ("one buyer", limits.cap_rho_micro),
            ("one agency, all its clients", limits.agency_rho_micro),
            ("everyone colluding", limits.total_rho_micro),
        )
    )
    return (
        "<table><thead><tr><th>With its whole budget spent</th><th class='number'>advantage at most</th>"
        f"<th class='number'>epsilon at 10⁻⁶</th></tr></thead><tbody>{rows}</tbody></table>"
        "<p class='muted'>Advantage: how much more often an attacker says “this person is in the data” when it is"
        " so than when it is not; 0 is a coin, 1 is certainty. Accuracy: the share of secrets guessed rightly;"
        " 0.5 is a coin.</p>"
    )


def _attack(report: Report, result: AttackResult) -> str:
    title = report.titles[result.name]
    low, high = result.interval95
    games = f"{result.trials:,} games" if result.trials else "not permitted"
    note = f"<p class='muted'>{escape(result.note)}</p>" if result.note else ""
    drawn = plot(result.plot, f"{result.name}: {result.plot.x}") if result.plot is not None else ""
    scale = "0 to 1" if result.metric is Metric.ADVANTAGE else "0.5 to 1"
    return (
        f"<article class='card'><div class='head'><h2>{escape(result.name)}</h2>{_badge(result.verdict)}</div>"
        f"<p>{escape(title)}</p>{strip(result)}"
        f"<p class='number'>{result.metric.value} {result.value:.3f} ({low:.3f} to {high:.3f}), "
        f"limit {result.limit:.3f}; <span class='muted'>{games}, scale {scale}</span></p>{note}{drawn}</article>"
    )


def _grade(report: Report) -> str:
    if report.grade is Verdict.RESISTS and not report.conclusive:
        return "<span class='badge muted'>not conclusive</span>"
    return _badge(report.grade)


def _badge(verdict: Verdict) -> str:
    return f"<span class='badge {verdict.value}'>{verdict.value}</span>"


def _footer(report: Report) -> str:
    return (
        f"<p>Finished {escape(rfc3339(report.at))}; seed {report.seed}; {report.games:,} games per attack; "
        "intervals hold the truth in 95 of 100 runs; an attack succeeds when its whole interval lies above the "
        "limit.</p>"
    )
