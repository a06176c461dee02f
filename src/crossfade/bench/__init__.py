"""The benchmark: suites, one protocol, results that a killed run doesn't lose."""

from crossfade.bench.dataset import DataSet
from crossfade.bench.ledger import Ledger
from crossfade.bench.plan import BenchPlan
from crossfade.bench.protocol import Narrator, run_suites
from crossfade.bench.report import write_bench_report
from crossfade.bench.suite import BuildPlan, Setting, Suite
from crossfade.bench.suites import ALL, ALL_LOCAL, suites_named

__all__ = [
    "ALL",
    "ALL_LOCAL",
    "BenchPlan",
    "BuildPlan",
    "DataSet",
    "Ledger",
    "Narrator",
    "Setting",
    "Suite",
    "run_suites",
    "suites_named",
    "write_bench_report",
]
