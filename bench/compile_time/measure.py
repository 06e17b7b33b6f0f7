#!/usr/bin/env python3
"""Compile-time budgets: how many templates the programs beside this file make clang instantiate.

  measure.py                    instantiations, and their change against baseline.json
  measure.py --check            the same, and fails where a count is more than 10 % above its baseline (warns above 3 %)
  measure.py --update           makes the present counts the baseline
  measure.py --seconds          also seconds and memory of a full -O2 compile; for information, never checked
  measure.py --top training     where the time of training.cpp goes: headers and instantiations

Options: --compiler clang++ and -I <folder>, repeated (default: this checkout's include/ and /usr/include/eigen3).
Counts are those of -fsyntax-only, which a full compile shares, and the same in every run; they do change with clang, the
standard library and Eigen. So the baseline names its tools, and with others --check compares nothing and exits with 77.
"""
import argparse, json, os, platform, re, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
LIMIT, WARNING = 0.10, 0.03
# Every event, not those above 500 us; and cc1's own -fsyntax-only, because with the driver's the trace has no name.
COUNTING = ("-ftime-trace-granularity=0", "-Xclang", "-fsyntax-only")
INSTANTIATION = ("InstantiateClass", "InstantiateFunction")


def tools(compiler):
    """What counts depend on, in words: 'Debian Clang 14.0.6, libstdc++ 20220819, Eigen 3.4.0, x86_64'."""
    try:
        run = subprocess.run([*compiler, "-dM", "-E", HERE / "umbrella.cpp"], stdout=subprocess.PIPE, text=True)
    except OSError as error:
        sys.exit(f"FAILED: {error}")
    macro = dict(re.findall(r"^#define (\w+) (.*)$", run.stdout, re.M))
    if run.returncode or "__clang__" not in macro:
        sys.exit(f"FAILED: {compiler[0]} " + ("cannot preprocess umbrella.cpp" if run.returncode else "is not clang"))
    words = [macro["__VERSION__"].strip('"')]
    words += [f"{name} {macro[key]}" for name, key in (("libstdc++", "__GLIBCXX__"), ("libc++", "_LIBCPP_VERSION")) if key in macro]
    if "EIGEN_WORLD_VERSION" in macro:
        words.append("Eigen " + ".".join(macro[f"EIGEN_{part}_VERSION"] for part in ("WORLD", "MAJOR", "MINOR")))
    return ", ".join([*words, platform.machine()])


def trace(compiler, program, *options):
    """The events of one compile, its seconds and its peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*compiler, "-O2", "-ftime-trace", *options, "-c", f"{HERE / program}.cpp", "-o", f"{folder}/out.o"]
        start = time.perf_counter()
        _, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
        seconds = time.perf_counter() - start
        if status:
            sys.exit(f"FAILED: {program}.cpp does not compile: {' '.join(command)}")
        try:
            events = json.loads(Path(folder, "out.json").read_text())["traceEvents"]
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"FAILED: {compiler[0]} left no readable trace of {program}.cpp (-ftime-trace): {error}")
    return events, seconds, usage.ru_maxrss / 1000


def print_top(events, title, kinds, rows=10):
    """The dearest names: milliseconds with and without what is nested in them and of the same kinds."""
    total, own, stack = {}, {}, []
    for event in sorted((e for e in events if e["name"] in kinds), key=lambda e: (e["ts"], -e["dur"])):
        name, end = event["args"]["detail"], event["ts"] + event["dur"]
        while stack and stack[-1][1] < end:
            stack.pop()
        if stack:
            own[stack[-1][0]] -= event["dur"]
        if name not in (open_name for open_name, _ in stack):
            total[name] = total.get(name, 0) + event["dur"]
        own[name] = own.get(name, 0) + event["dur"]
        stack.append((name, end))
    print(f"{'total ms':>9} {'own ms':>8}  {title}")
    for name in sorted(total, key=total.get, reverse=True)[:rows]:
        print(f"{total[name] / 1e3:9.0f} {own[name] / 1e3:8.0f}  {name if len(name) <= 150 else name[:147] + '...'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="clang++")
    parser.add_argument("-I", dest="folders", action="append", metavar="FOLDER")
    for mode in ("check", "update", "seconds"):
        parser.add_argument(f"--{mode}", action="store_true")
    parser.add_argument("--top", metavar="PROGRAM")
    options = parser.parse_args()
    folders = options.folders or [HERE.parents[1] / "include", "/usr/include/eigen3"]
    compiler = [options.compiler, "-std=c++20", *(f"-I{folder}" for folder in folders)]

    if options.top:
        events = trace(compiler, options.top, *COUNTING)[0]
        print_top(events, "header", ("Source",))
        print_top(events, "instantiation", INSTANTIATION)
        return 0

    present = tools(compiler)
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"tools": "none", "instantiations": {}}
    same = baseline["tools"] == present
    if not same and not options.update:
        print(f"The baseline was made with other tools, so nothing is compared.\n  baseline: {baseline['tools']}\n"
              f"  here:     {present}\nA baseline for these: {Path(__file__).name} --update")
        if options.check:
            return 77

    counts, verdicts = {}, []
    print(f"{'program':12} {'instantiations':>14} {'baseline':>9} {'change':>8}"
          + (f" {'front end':>10} {'total':>8} {'peak':>8}" if options.seconds else ""))
    for program in sorted(path.stem for path in HERE.glob("*.cpp")):
        count = counts[program] = sum(event["name"] in INSTANTIATION for event in trace(compiler, program, *COUNTING)[0])
        old = baseline["instantiations"].get(program) if same else None
        change = count / old - 1 if old else None
        line = f"{program:12} {count:14} {old or '-':>9} " + (f"{change:+8.1%}" if old else f"{'-':>8}")
        if options.seconds:
            events, seconds, memory = trace(compiler, program)
            front = next(event["dur"] for event in events if event["name"] == "Total Frontend") / 1e6
            line += f" {front:8.1f} s {seconds:6.1f} s {memory:5.0f} MB"
        print(line, flush=True)
        if same and not old:
            verdicts.append(f"FAILED: {program}.cpp has no baseline: run --update")
        elif old and abs(change) > WARNING:
            word = "FAILED" if change > LIMIT else "warning"
            advice = f"the limit is {int(old * (1 + LIMIT))}" if change > 0 else "run --update to keep the gain"
            verdicts.append(f"{word}: {program}.cpp: baseline {old} instantiations, found {count} ({change:+.1%}); {advice}")
    if options.update:
        BASELINE.write_text(json.dumps({"tools": present, "instantiations": counts}, indent=2) + "\n")
        print(f"{BASELINE.name} is now of {present}")
        return 0
    print(*verdicts, sep="\n", end="\n" if verdicts else "")
    return int(options.check and any(verdict.startswith("FAILED") for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
