#!/usr/bin/env python3
"""Usual mistakes: what the compiler, or the program, says of them.

  check.py run FILE KIND COMPILER OUT [-I FOLDER]...   one file with one compiler; KIND is g++, clang or nvcc
  check.py record OUT RULES.md [--update]              the section of RULES.md that shows what was said

A file begins with "// mistake: REGEX" or "// throws: REGEX". It must compile as it is, and run. With -DSFUMATO_MISTAKE the first
five lines of the first error (or of the thrown error's message) must match: the rule's id, and the figures or types. `run` leaves those
lines in OUT, from which `record` makes the section, or tells how it differs; it compares only what was said by the compilers
that the section names.
"""
import difflib, re, subprocess, sys, tempfile
from pathlib import Path

LINES = 5
BEGIN, END = "<!-- the usual mistakes: made by tests/mistakes/check.py record -->", "<!-- end of the usual mistakes -->"
TITLES = {"g++": "g++", "clang": "clang", "nvcc": "nvcc"}


def command(kind, compiler, folders):
    include = [f"-I{folder}" for folder in folders]
    if kind == "nvcc":
        return [compiler, "-std=c++20", "--expt-relaxed-constexpr", "-DEIGEN_NO_CUDA", "-x", "cu", "-arch=sm_90", *include]
    return [compiler, "-std=c++20", *include]


def call(arguments, folder=None):
    result = subprocess.run(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return result.returncode, result.stdout


def first_error(output):
    """The first five lines of the first diagnostic: from the line that says error on."""
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if re.search(r"\berror\b", line)), 0)
    return lines[start:start + LINES]


def shown(lines):
    """Without what changes from machine to machine: folders, line numbers, the inline namespace."""
    text = "\n".join(line.rstrip() for line in lines if not re.match(r"In file included|.*In instantiation of", line))
    text = re.sub(r"[^\s:'\"()]*/([\w.]+\.(?:hpp|cpp))", r"\1", text)
    text = re.sub(r"(\.(?:hpp|cpp))(?::\d+(?::\d+)?|\(\d+\))", r"\1", text)
    text = re.sub(r"^ *\d+ \|", "   |", text, flags=re.M)
    text = re.sub(r"at line \d+ of", "in", text)
    return re.sub(r"sfumato::(?:v\d+_\d+::)?", "", text).replace("‘", "'").replace("’", "'")


def run(file, kind, compiler, out, folders):
    source = Path(file)
    head = source.read_text().splitlines()
    match = re.match(r"// (mistake|throws): (.+)$", head[0])
    if not match:
        sys.exit(f"{file}: the first line must be '// mistake: <regex>' or '// throws: <regex>'")
    throws, wanted = match[1] == "throws", re.compile(match[2], re.S)
    base = command(kind, compiler, folders)
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/program"
        build = [*base, file, "-o", program, "-lz"]
        status, output = call(build)
        if status == 0:
            status, output = call([program], folder)
        if status:
            sys.exit(f"{source.name}, {kind}: the correct form fails with {status}:\n{output}")
        if throws:
            status, output = call([*build, "-DSFUMATO_MISTAKE"])
            if status:
                sys.exit(f"{source.name}, {kind}: the mistake is for run time, but does not compile:\n{output}")
            status, output = call([program], folder)
            said = output.splitlines()[:LINES]
        else:
            only = ["--cuda", "-o", f"{folder}/out.ii"] if kind == "nvcc" else ["-fsyntax-only"]
            status, output = call([*base, *only, "-DSFUMATO_MISTAKE", file])
            said = first_error(output)
    if status == 0 or not wanted.search("\n".join(said)):
        sys.exit(f"{source.name}, {kind}: {'the mistake passed' if status == 0 else 'the first lines do not match ' + match[2]}:\n{output[:6000]}")
    version = call([compiler, "--version"])[1]
    version = re.search(r"release ([\d.]+)" if kind == "nvcc" else r"(\d+\.\d+(?:\.\d+)?)", version)[1]
    Path(out).mkdir(parents=True, exist_ok=True)
    Path(out, f"{source.stem}.{kind}").write_text(f"{version}\n{head[1].lstrip('/ ')}\n{shown(said)}\n")
    print("\n".join(said))


def section(out):
    """The section of what was said."""
    files = sorted(Path(out).glob("*.*"))
    said, versions, titles = {}, {}, {}
    for path in files:
        version, title, lines = path.read_text().split("\n", 2)
        kind = path.suffix[1:]
        versions[kind], titles[path.stem] = version, title
        said.setdefault(path.stem, {})[kind] = lines.rstrip()
    order = [kind for kind in TITLES if kind in versions]
    parts = [BEGIN, "", "First five lines of " + ", ".join(f"{TITLES[kind]} {versions[kind]}" for kind in order) +
             "; folders, line numbers and namespaces left out. What is thrown is the same with all."]
    for stem, by in said.items():
        parts += ["", f"**{titles[stem].rstrip('.')}** (`tests/mistakes/{stem}.cpp`)", ""]
        kinds = [kind for kind in order if kind in by]
        if len(set(by.values())) == 1:
            parts += ["```text", by[kinds[0]], "```"]
        else:
            parts += ["```text", "\n\n".join(f"{TITLES[kind]}:\n{by[kind]}" for kind in kinds), "```"]
    return "\n".join([*parts, "", END])


def parse(text):
    """What a section says: the versions, and the lines by mistake and compiler."""
    versions = dict(re.findall(r"(g\+\+|clang|nvcc) (\d[\d.]*\d)", text.split("\n\n", 2)[1])) if "First five lines" in text else {}
    said = {}
    for stem, block in re.findall(r"\(`tests/mistakes/(\w+)\.cpp`\)\n\n```text\n(.*?)\n```", text, re.S):
        parts = re.split(r"^(g\+\+|clang|nvcc):\n", block, flags=re.M)
        kinds = parts[1::2] or list(versions)
        said.update({(stem, kind): (parts[2 * i + 2] if parts[1::2] else block).strip() for i, kind in enumerate(kinds)})
    return versions, said


def record(out, rules, update):
    text = Path(rules).read_text()
    if BEGIN not in text or END not in text:
        sys.exit(f"{rules} has no lines '{BEGIN}' and '{END}'")
    start, end = text.index(BEGIN), text.index(END) + len(END)
    new = section(out)
    if update:
        Path(rules).write_text(text[:start] + new + text[end:])
        return 0
    (old_versions, old), (versions, said) = parse(text[start:end]), parse(new)
    kinds = [kind for kind in versions if old_versions.get(kind) == versions[kind]]
    for kind in TITLES:
        if kind not in kinds:
            print(f"{kind}: recorded with {old_versions.get(kind, 'none')}, here {versions.get(kind, 'none')}: not compared")
    problems = []
    for stem, kind in sorted({key for key in (*old, *said) if key[1] in kinds}):
        there, here = old.get((stem, kind), "(nothing)"), said.get((stem, kind), "(nothing)")
        if there != here:
            problems += difflib.unified_diff(there.splitlines(), here.splitlines(), f"{rules}: {stem}, {kind}", "what is said now", lineterm="")
    print("\n".join(problems) or f"{rules} shows what {', '.join(kinds) or 'nobody'} says")
    if problems:
        print(f"To record it: {Path(__file__).name} record {out} {rules} --update")
    return 1 if problems else 0 if kinds else 77


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"] and len(arguments) >= 5:
        file, kind, compiler, out, *rest = arguments[1:]
        if kind not in TITLES:
            sys.exit(f"KIND must be one of {', '.join(TITLES)}, found {kind}")
        return run(file, kind, compiler, out, [folder.removeprefix("-I") for folder in rest if folder != "-I"])
    if arguments[:1] == ["record"] and len(arguments) in (3, 4):
        return record(arguments[1], arguments[2], arguments[3:] == ["--update"])
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
