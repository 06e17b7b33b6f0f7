#!/usr/bin/env python3
"""Turns one state dict of a PyTorch checkpoint (.pth) into a .safetensors file.

The published JiT checkpoints are dicts with the state dicts `model`, `model_ema1` and `model_ema2`, whose keys begin
with `net.`; they are written as they are. Needs torch to read, nothing else to write.

    python3 scripts/pth_to_safetensors.py jit-b-16.pth jit-b-16.safetensors --which model_ema1

RAE's: `--which ema` for its models, `--which ''` for files that are one state dict, such as its statistics.
"""

import argparse
import ctypes
import json
import os
import sys

ALIGNMENT = 8
DTYPES = {  # torch's name: (safetensors' name, bytes)
    "torch.float64": ("F64", 8), "torch.float32": ("F32", 4), "torch.float16": ("F16", 2),
    "torch.bfloat16": ("BF16", 2),
    "torch.int64": ("I64", 8), "torch.int32": ("I32", 4), "torch.int16": ("I16", 2), "torch.int8": ("I8", 1),
    "torch.uint8": ("U8", 1), "torch.bool": ("BOOL", 1),
}


class ConversionError(Exception):
    pass


def import_torch():
    try:
        import torch
    except ImportError as error:
        raise ConversionError("reading a .pth file needs PyTorch (pip install torch, or apt install python3-torch): "
                              f"{error}")
    return torch


def load_checkpoint(torch, path, trust_pickle):
    """The unpickled checkpoint, on the CPU; only tensors and plain types unless the file is trusted."""
    if trust_pickle:
        # torch < 1.13 has no weights_only argument, torch >= 2.6 takes True for its default.
        try:
            return torch.load(path, map_location="cpu", weights_only=False)
        except TypeError:
            return torch.load(path, map_location="cpu")
    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals([argparse.Namespace])  # training arguments; plain data
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except TypeError:
        raise ConversionError(f"torch {torch.__version__} has no weights_only: with a newer torch nothing in the file "
                              "can run; or give --trust-pickle if you trust where it comes from")
    except OSError as error:
        raise ConversionError(f"cannot read '{path}': {error}")
    except Exception as error:  # UnpicklingError, RuntimeError of a broken zip
        raise ConversionError(f"'{path}' is damaged or holds more than tensors: {error}\nIf you trust where it comes "
                              "from, --trust-pickle loads it all the same (this can run code).")


def select(torch, checkpoint, which, path):
    """The state dict `which`, checked to be names with tensors."""
    if not isinstance(checkpoint, dict):
        raise ConversionError(f"'{path}' holds a {type(checkpoint).__name__}, expected a dict of state dicts")
    if which == "":  # a bare state dict
        checkpoint = {"": checkpoint}
    if which not in checkpoint:
        keys = ", ".join(map(str, list(checkpoint)[:20]))
        raise ConversionError(f"'{path}' has no key '{which}'; its keys are: {keys}")
    state = checkpoint[which]
    if not isinstance(state, dict) or not state:
        raise ConversionError(f"key '{which}' of '{path}' is a {type(state).__name__}, expected a filled state dict")
    for name in [name for name, tensor in state.items() if tensor is None]:  # e.g. the mean in RAE's statistics of DINOv2-B
        print(f"left out: '{name}' is None")
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    if not state:
        raise ConversionError(f"'{path}' holds no tensors")
    for name, tensor in state.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise ConversionError(f"key {name!r} of '{which}' cannot be a tensor's name")
        if not isinstance(tensor, torch.Tensor):
            raise ConversionError(f"key '{name}' of '{which}' is a {type(tensor).__name__}, expected a tensor")
        if str(tensor.dtype) not in DTYPES or tensor.layout != torch.strided:
            raise ConversionError(f"key '{name}' of '{which}' is a {tensor.layout} tensor of {tensor.dtype}, expected "
                                  f"a dense one of {', '.join(DTYPES)}")
    return state


def header_bytes(ordered, metadata):
    """The length and the JSON header, padded so that the data begins aligned."""
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in ordered:
        dtype, size = DTYPES[str(tensor.dtype)]
        end = offset + tensor.numel() * size
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def write(path, state, metadata):
    """Writes the file beside `path`, then renames it: a failure leaves what was there before."""
    ordered = sorted(state.items(), key=lambda item: -DTYPES[str(item[1].dtype)][1])  # stable; aligns every tensor
    temporary = f"{path}.tmp.{os.getpid()}"
    try:
        with open(temporary, "wb") as out:
            out.write(header_bytes(ordered, metadata))
            for _, tensor in ordered:
                tensor = tensor.detach().resolve_conj().contiguous()
                size = tensor.numel() * tensor.element_size()
                if size > 0:
                    out.write((ctypes.c_char * size).from_address(tensor.data_ptr()))
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ConversionError(f"cannot write '{path}': {error}")
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="the .pth file")
    parser.add_argument("output", help="the .safetensors file to write")
    parser.add_argument("--which", default="model_ema1", help="key of the state dict to convert, '' where the file is one itself (default: %(default)s)")
    parser.add_argument("--trust-pickle", action="store_true",
                        help="load with the full unpickler, which can run code from the file")
    options = parser.parse_args()
    if not os.path.isfile(options.checkpoint):
        raise ConversionError(f"'{options.checkpoint}' is not a file")
    if sys.byteorder != "little":
        raise ConversionError("safetensors files are little-endian, this machine is not")
    torch = import_torch()
    checkpoint = load_checkpoint(torch, options.checkpoint, options.trust_pickle)
    state = select(torch, checkpoint, options.which, options.checkpoint)
    source = os.path.basename(options.checkpoint)
    write(options.output, state, {"format": "pt", "source": source, "which": options.which})
    total = sum(tensor.numel() for tensor in state.values())
    print(f"{options.output}: {len(state)} tensors, {total} values, from '{options.which}'")


if __name__ == "__main__":
    try:
        main()
    except ConversionError as error:
        sys.exit(f"error: {error}")
