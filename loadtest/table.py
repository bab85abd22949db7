"""README's table of the load test, as Markdown, with the sentence of figures below it.

    loadtest/table.py [REPORT.json …]

Without reports it plays what README shows, `peak` three times, on the machine as it is, and keeps
the reports in build/table. Reports of one workload, with kills and without, are one row each, of
their medians. A percentile that a run's values do not say is –. Exit 1: a run was not good.
"""
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "table"
PLAYED = [("tay-ninh-city", 1, []), ("tay-ninh-city", 1, ["--chaos"]), ("peak", 3, []),
          ("ramp", 1, [])]
HEAD = ["Workload", "cases, results", "results/s until stored",
        "receipt p50, p99, p99.9 ms (raw)", "stored p50, p99 ms",
        "visible p50, p99 ms (of so many)", "lost, double, gaps", "generator ÷ engine CPU"]


def play():
    """The reports of all runs; a bad one has a report, too."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    paths = []
    for workload, times, options in PLAYED:
        for i in range(times):
            subprocess.run(["./run", "load", workload, *options], cwd=ROOT, stdout=sys.stderr)
            made = ROOT / "build" / "load"
            paths.append(KEPT / f"{workload}{''.join(options)}-{i}.json")
            shutil.copy(made / "report.json", paths[-1])
            if options == ["--chaos"]:
                shutil.copy(made / "throughput.svg", KEPT / "throughput.svg")
    return paths


def number(value):
    """As README writes it: 1,010; 39; 2.4."""
    return "–" if value is None else f"{value:,.{1 if value < 10 else 0}f}"


class Group:
    """Reports of the same: of each measure the median, None where not all have it."""

    def __init__(self, reports, prefix=""):
        self.reports, self.prefix = reports, prefix

    def __getitem__(self, key):
        values = [r.get(self.prefix + key) for r in self.reports]
        return statistics.median(values) if None not in values else None

    def whole(self, key):
        return Group(self.reports)[key]

    def ms(self, name, *shares):
        return ", ".join(number(self[f"{name}.{s}_ms"]) for s in shares)

    def title(self):
        title = f"`{self.reports[0]['workload']}`"
        if self.prefix:
            return title + ", then half of its rate"
        if self["ramp.failed_at_cases_per_s"] is not None:
            title += f", failed at {self['ramp.failed_at_cases_per_s']:,.0f} cases/s"
        if self["calls.copy.cases"]:
            title += f", {self['calls.copy.cases']:,.0f} copies with their scans"
        if self["chaos.kills"]:
            title += f", {self['chaos.kills']:.0f} kills"
        return title

    def cells(self):
        share = self.whole("cpu.generator_share")
        wrong = [max(r[f"proof.{k}"] for r in self.reports) for k in ("lost", "duplicates", "gaps")]
        seen = "–" if self["visible.n"] is None else f"{self['visible.n']:,.0f}"
        return [self.title(), f"{self['cases']:,.0f}, {self['results']:,.0f}",
                f"{self['results_per_s']:,.0f}",
                f"{self.ms('receipt', 'p50', 'p99', 'p999')} "
                f"({self.ms('receipt.raw', 'p50', 'p99', 'p999')})",
                self.ms("stored", "p50", "p99"), f"{self.ms('visible', 'p50', 'p99')} ({seen})",
                ", ".join(map(str, wrong)),
                "" if self.prefix or share is None else f"{share:.2f}"]


def sentence(g):
    """What README says of `peak` below the table."""
    flushes = [r["half_peak.receipt.p99_flushes"] for r in g.reports]
    return (f"At `peak` … the engine's processes took {g['memory.engine_mb']:.0f} MB at most, in "
            f"its later half {g['memory.engine_growth']:.2f} times as much as in the earlier, and "
            f"{g['written.bytes_per_result'] / 1000:.1f} KB were written a result. At half the "
            f"peak the 99th percentile of receipts is {min(flushes):.0f} to {max(flushes):.0f} "
            f"flushes of the journal of {g['host.flush_ms']:.2f} ms.")


def main():
    paths = [pathlib.Path(p) for p in sys.argv[1:]] or play()
    reports = [json.loads(p.read_text()) for p in paths]
    groups = {}
    for r in reports:
        groups.setdefault((r["workload"], r["chaos.kills"] > 0), []).append(r)
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for rows in groups.values():
        print(f"| {' | '.join(Group(rows).cells())} |")
        if "half_peak.cases" in rows[0]:
            print(f"| {' | '.join(Group(rows, 'half_peak.').cells())} |")
    for rows in groups.values():
        if all("half_peak.receipt.p99_flushes" in r and "memory.engine_growth" in r for r in rows):
            print(f"\n{sentence(Group(rows))}")
    bad = [str(p) for p, r in zip(paths, reports) if not r["good"]]
    sys.exit(f"not good: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
