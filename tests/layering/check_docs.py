#!/usr/bin/env python3
"""Code in the documentation is code of the tree, and every op is in its table.

usage: check_docs.py <project folder>

A block after "<!-- from FILE -->" must stand in FILE as it is. Every op's front door must be named in docs/ops.md.
"""
import pathlib
import re
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    problems, blocks = [], 0
    for page in sorted(root.glob("docs/*.md")):
        for name, code in re.findall(r"<!-- from (\S+) -->\n```cpp\n(.*?)```", page.read_text(), re.S):
            blocks += 1
            if code not in (root / name).read_text():
                problems.append(f"{page}: not in {name}:\n{code}")
    table = (root / "docs/ops.md").read_text()
    ops = set()
    for header in [*(root / "include/sfumato/ops").glob("*.hpp"), root / "include/sfumato/autodiff/gradient.hpp"]:
        text = re.sub(r"namespace detail \{.*?\}  // namespace detail", "", header.read_text(), flags=re.S)
        ops |= set(re.findall(r"\b(?:auto|void) (\w+)\(Ctx&", text))
    for op in sorted(ops):
        if not re.search(rf"`{op}\b", table):
            problems.append(f"docs/ops.md does not name ops::{op}")
    print("\n".join(problems + [f"{blocks} blocks, {len(ops)} ops, {len(problems)} problems"]))
    return bool(problems or blocks < 5 or len(ops) < 30)


if __name__ == "__main__":
    sys.exit(main())
