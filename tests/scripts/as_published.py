#!/usr/bin/env python3
"""Rewrites a training checkpoint as the published ones are: the slow average alone, its keys beginning with "net.".

python3 as_published.py <checkpoint.safetensors> <output.safetensors>
"""

import json
import sys

source, output = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
size = int.from_bytes(data[:8], "little")
tensors, parts = {}, []
offset = 0
for name, tensor in json.loads(data[8:8 + size]).items():
    if not name.startswith("model_ema1."):
        continue
    begin, end = tensor["data_offsets"]
    parts.append(data[8 + size + begin:8 + size + end])
    tensors[name.replace("model_ema1.", "net.", 1)] = dict(tensor, data_offsets=[offset, offset + end - begin])
    offset += end - begin
assert tensors, "no slow average in " + source
header = json.dumps(tensors).encode()
header += b" " * (-len(header) % 8)
with open(output, "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header + b"".join(parts))
