#!/usr/bin/env python3
"""scripts/pth_to_safetensors.py on a checkpoint of the published layout, and on files that it must refuse.

Exits with 77 (skipped) where PyTorch is not installed.    python3 pth_to_safetensors.py <script> <folder for files>
"""

import argparse
import json
import os
import subprocess
import sys

try:
    import torch
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(77)

script, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, name)


def convert(source, output, *options):
    return subprocess.run([sys.executable, script, path(source), path(output), *options], capture_output=True, text=True)


def refused(source, *words, options=()):
    output = path("refused.safetensors")
    run = convert(source, "refused.safetensors", *options)
    assert run.returncode == 1 and run.stderr.startswith("error: "), (source, run)
    assert "Traceback" not in run.stderr, run.stderr
    for word in words:
        assert word in run.stderr, (word, run.stderr)
    assert not os.path.exists(output)


def read(name):
    """A safetensors file by its definition: {name: (dtype, shape, bytes)}."""
    with open(path(name), "rb") as file:
        data = file.read()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    assert header.pop("__metadata__")["format"] == "pt" and (8 + size) % 8 == 0
    body = data[8 + size:]
    return {k: (v["dtype"], v["shape"], body[slice(*v["data_offsets"])]) for k, v in header.items()}


torch.manual_seed(1)
state = {
    "net.pos_embed": torch.randn(1, 4, 8),
    "net.x_embedder.proj1.weight": torch.randn(2, 3, 4, 4),
    "net.blocks.0.attn.qkv.weight": torch.randn(8, 24).t(),  # not contiguous
    "net.half": torch.randn(3).to(torch.bfloat16),
    "net.scalar": torch.tensor(2.5),
    "net.count": torch.tensor([1, 2, 3]),
}
averaged = {name: tensor + 1 for name, tensor in state.items()}
checkpoint = {"model": state, "model_ema1": averaged, "model_ema2": state, "epoch": 3, "args": argparse.Namespace(lr=1e-4)}
torch.save(checkpoint, path("a.pth"))

trust = [] if hasattr(torch.serialization, "add_safe_globals") else ["--trust-pickle"]
for which, expected in (("model_ema1", averaged), ("model", state)):
    run = convert("a.pth", "a.safetensors", "--which", which, *trust)
    assert run.returncode == 0, run.stderr
    found = read("a.safetensors")
    assert list(sorted(found)) == list(sorted(expected))
    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64"}
    for name, tensor in expected.items():
        dtype, shape, data = found[name]
        assert dtype == names[tensor.dtype] and shape == list(tensor.shape), (name, dtype, shape)
        back = torch.frombuffer(bytearray(data), dtype=tensor.dtype).reshape(tensor.shape)
        assert torch.equal(back, tensor), name
assert not [name for name in os.listdir(folder) if ".tmp." in name]

torch.save({"model": state}, path("plain.pth"))
run = convert("plain.pth", "plain.safetensors", "--which", "model")  # tensors alone need no trust
assert run.returncode == 0, run.stderr
refused("missing.pth", "missing.pth", "is not a file")
refused("plain.pth", "no key 'model_ema1'", "its keys are: model")
torch.save({"mean": None, "var": torch.ones(4, 2, 2)}, path("statistics.pth"))  # as RAE's are: bare, without a mean
run = convert("statistics.pth", "statistics.safetensors", "--which", "")
assert run.returncode == 0 and "left out: 'mean' is None" in run.stdout, run
assert [(k, v[:2]) for k, v in read("statistics.safetensors").items()] == [("var", ("F32", [4, 2, 2]))]
torch.save({"mean": None}, path("nothing.pth"))
refused("nothing.pth", "holds no tensors", options=["--which", ""])
torch.save([1, 2], path("list.pth"))
refused("list.pth", "holds a list")
torch.save({"model": {"a": 1}}, path("number.pth"))
refused("number.pth", "'a' of 'model' is a int, expected a tensor", options=["--which", "model"])
with open(path("plain.pth"), "rb") as file:
    whole = file.read()
with open(path("cut.pth"), "wb") as file:
    file.write(whole[:len(whole) // 2])
refused("cut.pth", "cut.pth", options=["--which", "model"])


class Trap:
    def __reduce__(self):
        return open, (path("trapped"), "w")


torch.save({"model": Trap()}, path("trap.pth"))
refused("trap.pth", "trap.pth", options=["--which", "model"])
assert not os.path.exists(path("trapped")), "a checkpoint ran code"
print("passed with PyTorch", torch.__version__)
