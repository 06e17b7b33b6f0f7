#!/usr/bin/env python3
"""Every rule and error id in the headers has its entry in docs/rules.md, and every entry its id.

usage: check_rules.py <include folder> <docs/rules.md>
"""
import pathlib
import re
import sys

ID = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"


def ids_in_headers(folder):
    found = set()
    for path in folder.rglob("*.hpp"):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        found |= set(re.findall(r'static_assert\([^;]*?"\[(' + ID + r")\]", text, re.S))
        found |= set(re.findall(r'(?:\bError\(|\bthrow Error\()\s*"(' + ID + r')"', text))
        found |= set(re.findall(r'\bcheck\([^;]*?,\s*"(' + ID + r')",', text))
    return found


def main():
    headers, rules = map(pathlib.Path, sys.argv[1:])
    text = rules.read_text()
    entries = set(re.findall(r"^\*\*`\[(" + ID + r")\]`\*\*", text, re.M)) | set(re.findall(r"^\| `(" + ID + r")`", text, re.M))
    used = ids_in_headers(headers)
    if len(used) < 20:
        sys.exit(f"only {len(used)} ids found in {headers}: the patterns of this script no longer fit the code")
    missing = sorted(used - entries)
    everywhere = "\n".join(path.read_text() for path in headers.rglob("*.hpp"))
    unused = sorted(entry for entry in entries if f'"{entry}"' not in everywhere and f"[{entry}]" not in everywhere)
    for name in missing:
        print(f"{rules}: no entry for [{name}]")
    for name in unused:
        print(f"{rules}: [{name}] is in no header")
    print(f"{len(used)} ids in the headers, {len(entries)} entries")
    return bool(missing or unused)


if __name__ == "__main__":
    sys.exit(main())
