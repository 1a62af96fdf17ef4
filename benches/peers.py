#!/usr/bin/env python3
"""The recorder beside perf record and samply, in paired runs.

Usage: benches/peers.py [--rounds N] [--rate HZ] [--workload shallow|deep|all] [--samply PATH]

Each round runs the same fixed work bare and under each recorder, in an order that is drawn anew. Slowdown is the
ratio of the target's own CPU time (which it prints) to that of the bare run of the same round, so that other load
on the machine weighs on both. Recorder CPU is that of the recorder and its children less the target's. "exit to
result" is from the target's last line to the recorder's end; for rs-record names are in the stream by then.
Prints a markdown table: medians, with quartiles for the slowdown.
"""
import argparse, json, os, random, re, resource, shutil, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "target", "release")
WORKLOADS = {
    "shallow": ["--threads", "1", "--depth", "10", "--millions", "1200"],
    "deep": ["--threads", "8", "--depth", "150", "--millions", "1600"],
}


def run(command, cwd):
    """Runs a command; returns the target's CPU seconds, all CPU seconds, seconds from the target's line to the end, peak MiB."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    cpu = told = None
    for line in process.stdout:
        if line.startswith('{"program"'):
            cpu, told = json.loads(line)["process_cpu_ns"] / 1e9, time.monotonic()
    _, status, usage = os.wait4(process.pid, 0)
    end = time.monotonic()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or cpu is None:
        raise RuntimeError(f"{command}: exit {process.returncode}")
    return cpu, usage.ru_utime + usage.ru_stime, end - told, usage.ru_maxrss / 1024


def recorders(rate, samply):
    """Name -> (command prefix, function of the directory that counts samples and losses)."""
    def ours(cwd):
        end = json.loads(open(os.path.join(cwd, "ours.ndjson")).read().rstrip().rsplit("\n", 1)[-1])
        return end["sample_count"], end["lost_count"], 1 - end["truncated_count"] / max(1, end["sample_count"])
    def perf(cwd):
        text = subprocess.run(["perf", "report", "--stats", "-i", "perf.data"], cwd=cwd, capture_output=True, text=True).stdout
        count = lambda name: int((re.search(rf"\b{name} events:\s+(\d+)", text) or [0, 0])[1])
        return count("SAMPLE"), None, None
    table = {"rs-record": ([os.path.join(BIN, "rs-record"), "-q", "-F", str(rate), "-o", "ours.ndjson", "--"], ours)}
    if shutil.which("perf"):
        base = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(rate), "-o", "perf.data"]
        table["perf fp"] = (base + ["-g", "--"], perf)
        table["perf dwarf 8k"] = (base + ["--call-graph", "dwarf", "--"], perf)
    if samply:
        # samply 0.13 refuses to start where it thinks that it may not; it gets a lower setting of its own namespace.
        script = "mount --bind \"$1\" /proc/sys/kernel/perf_event_paranoid && shift && exec \"$@\""
        one = os.path.join(tempfile.gettempdir(), "rs-bench-one"); open(one, "w").write("1\n")
        table["samply"] = (["unshare", "-m", "sh", "-c", script, "sh", one, samply, "record", "--save-only", "-o", "s.json.gz",
                            "--rate", str(rate), "--"], lambda cwd: (None, None, None))
    return table


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--rate", type=int, default=997)
    options.add_argument("--workload", default="all", choices=["all", *WORKLOADS])
    options.add_argument("--samply", default=shutil.which("samply"))
    args = options.parse_args()
    if not os.path.exists(os.path.join(BIN, "bench_work")):
        sys.exit("build first: cargo build --release -p rs-record -p rustscope-examples")
    if not args.samply:
        print("samply: skipped, not installed (cargo install samply --locked)", file=sys.stderr)
    for name, work in WORKLOADS.items():
        if args.workload not in ("all", name):
            continue
        target = [os.path.join(BIN, "bench_work"), *work]
        table = recorders(args.rate, args.samply)
        rows = {recorder: [] for recorder in table}
        with tempfile.TemporaryDirectory() as cwd:
            for _ in range(args.rounds):
                bare = run(target, cwd)[0]
                for recorder in random.sample(list(table), len(table)):
                    prefix, count = table[recorder]
                    cpu, total, latency, rss = run(prefix + target, cwd)
                    rows[recorder].append((cpu / bare, total - cpu, latency, rss, cpu, *count(cwd)))
        print(f"\n{name}: `bench_work {' '.join(work)}`, {args.rate} Hz, {args.rounds} rounds\n")
        print("| recorder | slowdown, median (quartiles) | recorder CPU s | exit to result ms, median (min) | peak MiB | samples / expected | lost | complete |")
        print("|---|---|---|---|---|---|---|---|")
        for recorder, runs in rows.items():
            column = lambda index: [row[index] for row in runs if row[index] is not None]
            q1, median, q3 = statistics.quantiles(column(0), n=4)
            samples, lost, complete = column(5), column(6), column(7)
            kept = f"{statistics.median(s / (r[4] * args.rate) for s, r in zip(samples, runs)):.3f}" if samples else "-"
            print(f"| {recorder} | {median:.3f} ({q1:.3f}-{q3:.3f}) | {statistics.median(column(1)):.3f} "
                  f"| {statistics.median(column(2)) * 1000:.0f} ({min(column(2)) * 1000:.0f}) | {statistics.median(column(3)):.0f} | {kept} "
                  f"| {sum(lost) if lost else '-'} | {f'{statistics.median(complete):.4f}' if complete else '-'} |")


if __name__ == "__main__":
    main()
