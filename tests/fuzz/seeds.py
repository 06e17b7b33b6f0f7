#!/usr/bin/env python3
"""Writes corpus/: small valid files for the fuzzers to start from. The same bytes each time (with the same zlib)."""
import gzip
import json
import pathlib
import struct
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"


def save(name, data):
    path = CORPUS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def safetensors(tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes), in file order."""
    header, offset = {"__metadata__": metadata} if metadata else {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values())


def idx(magic, extents, values):
    return struct.pack(f">{1 + len(extents)}I", magic, *extents) + bytes(values)


def png(width, height, channels, values, palette=None):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = 3 if palette else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    row = width * channels
    rows = b"".join(bytes([y % 2]) + bytes(values[y * row : (y + 1) * row]) for y in range(height))  # filters none and sub
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, colour, 0, 0, 0))
            + (chunk(b"PLTE", bytes(palette)) if palette else b"") + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def jpeg(components):
    """8 x 8 pixels of middle grey, baseline: in each block the difference of the mean has no bits, and the block ends."""
    def segment(marker, data):
        return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(data)) + bytes(data)

    one_code = bytes([1] + [0] * 15)  # the code 0, alone
    ids = range(1, components + 1)
    bits = "00" * components  # no bits; end of block
    scan = int(bits.ljust(8, "1"), 2).to_bytes(1, "big")
    return (b"\xff\xd8" + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + segment(0xDB, b"\0" + b"\x10" * 64)
            + segment(0xC0, struct.pack(">BHHB", 8, 8, 8, components) + b"".join(bytes([i, 0x11, 0]) for i in ids))
            + segment(0xC4, b"\x00" + one_code + b"\0") + segment(0xC4, b"\x10" + one_code + b"\0")
            + segment(0xDA, bytes([components]) + b"".join(bytes([i, 0]) for i in ids) + b"\0\x3f\0") + scan + b"\xff\xd9")


def main():
    floats = struct.pack("<6f", 0, 1, -1, 0.5, 1e30, -1e-30)
    save("safetensors/f32.safetensors", safetensors({"weight": ("F32", [2, 3], floats), "bias": ("F32", [3], floats[:12])}, {"model": "seed", "step": "1"}))
    save("safetensors/types.safetensors", safetensors({
        "f64": ("F64", [1], struct.pack("<d", 2.5)), "f16": ("F16", [2, 1], b"\0\x3c\0\xbc"), "bf16": ("BF16", [2], b"\x80\x3f\x80\xbf"),
        "i32": ("I32", [], b"\7\0\0\0"), "u8": ("U8", [4], b"\1\2\3\4"), "empty": ("F32", [0, 5], b"")}))
    save("safetensors/none.safetensors", safetensors({}))

    images, labels = idx(0x803, (2, 3, 3), range(18)), idx(0x801, (5,), range(5))
    for name, data in (("images", images), ("labels", labels)):
        save(f"idx/{name}.idx", data)
        save(f"idx/{name}.idx.gz", gzip.compress(data, 9, mtime=0))

    # The image fuzzer takes the first byte for the channels asked for (1 + byte % 4) and the rest for the file.
    ramp = [7 * i % 256 for i in range(64)]
    save("image/grey.png", b"\0" + png(4, 4, 1, ramp))
    save("image/rgb.png", b"\2" + png(4, 4, 3, ramp))
    save("image/rgba.png", b"\3" + png(4, 4, 4, ramp))
    save("image/palette.png", b"\2" + png(4, 4, 1, [i % 3 for i in range(16)], [255, 0, 0, 0, 255, 0, 0, 0, 255]))
    save("image/grey.jpg", b"\0" + jpeg(1))
    save("image/rgb.jpg", b"\2" + jpeg(3))


if __name__ == "__main__":
    main()
