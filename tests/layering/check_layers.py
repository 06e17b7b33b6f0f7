#!/usr/bin/env python3
"""Reads every #include of the library and reports those that point upwards; and headers that grew too long.

usage: check_layers.py <include directory> | --self-test
"""

import pathlib
import re
import sys
import tempfile

# What each layer may include, besides itself. A layer is a folder; but what lies directly in backend/ is a layer of its
# own, low down: the interface of the backends, and all that is seen of them from above.
LAYERS = {"base": [], "backend interface": ["base"]}
LAYERS["tensor"] = ["base", "backend interface"]
LAYERS["backend"] = LAYERS["tensor"] + ["tensor"]
LAYERS["ops"] = LAYERS["tensor"] + ["tensor"]
LAYERS["autodiff"] = LAYERS["ops"] + ["ops"]
LAYERS["nn"] = LAYERS["autodiff"] + ["autodiff"]
LAYERS["flow"] = LAYERS["nn"] + ["nn"]
LAYERS["models"] = LAYERS["flow"] + ["flow"]
LAYERS["design"] = LAYERS["models"] + ["models"]
LAYERS["train"] = LAYERS["models"] + ["models", "io", "metrics"]
LAYERS["metrics"] = ["base", "tensor"]
LAYERS["io"] = ["base"]

# Third parties stay where they are at home.
THIRD_PARTIES = [
    (re.compile(r"(unsupported/)?Eigen/"), ["backend/cpu", "metrics"]),
    (re.compile(r"nlohmann/|zlib\.h$|(stb/)?stb_"), ["io"]),
    (re.compile(r"cuda|cublas|cudnn|thrust/|cub/"), ["backend/cuda"]),
]

LONGEST = 400  # lines of a header
UMBRELLAS = ["sfumato.hpp", "io.hpp", "metrics.hpp"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def within(path, folders):
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def layer_of(path):
    parts = path.split("/")
    return "backend interface" if parts[0] == "backend" and len(parts) == 2 else parts[0]


def problem(header, include, quoted):
    """Why `header` must not include `include`, or None. `header` is relative to include/sfumato."""
    layer = layer_of(header)
    if quoted:
        include = (pathlib.PurePosixPath("sfumato") / header).parent.joinpath(include).as_posix()
        if ".." in include:
            return "write it as <sfumato/...>"
    if include.startswith("sfumato/"):
        target = include[len("sfumato/"):]
        if header in UMBRELLAS:
            return None
        if layer not in LAYERS:
            return f"'{layer}' is in no layer"
        if target in UMBRELLAS:
            return "the library does not include its umbrella headers"
        if layer_of(target) not in LAYERS[layer] + [layer]:
            return f"{layer} may see only {', '.join(LAYERS[layer]) or 'itself'}"
        return None
    for pattern, homes in THIRD_PARTIES:
        if pattern.match(include) and not within(header, homes):
            return f"only {', '.join(homes)} may include it"
    return None


def check(include_directory):
    root = pathlib.Path(include_directory) / "sfumato"
    files = sorted(path for path in root.rglob("*") if path.suffix in (".hpp", ".cuh", ".inc"))
    problems = []
    for path in files:
        header = path.relative_to(root).as_posix()
        lines = path.read_text().splitlines()
        if len(lines) > LONGEST:
            problems.append(f"{path}: {len(lines)} lines, more than {LONGEST}: split it")
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            why = match and problem(header, match[2], match[1] == '"')
            if why:
                problems.append(f"{path}:{number}: {line.strip()}: {why}")
    return files, problems


def self_test():
    """Each planted include must be found, or let pass, as said."""
    cases = [
        ("nn/linear.hpp", "<sfumato/ops/matmul.hpp>", True),
        ("nn/linear.hpp", "<sfumato/backend/kernels.hpp>", True),
        ("nn/linear.hpp", "<sfumato/nn/norm.hpp>", True),
        ("nn/linear.hpp", "<sfumato/models/jit.hpp>", False),
        ("nn/linear.hpp", "<sfumato/backend/cpu/cpu.hpp>", False),
        ("nn/linear.hpp", '"../models/jit.hpp"', False),
        ("nn/linear.hpp", "<sfumato/sfumato.hpp>", False),
        ("nn/linear.hpp", "<Eigen/Core>", False),
        ("ops/matmul.hpp", "  <sfumato/backend/reference/reference.hpp>", False),
        ("ops/matmul.hpp", "<sfumato/autodiff/tape.hpp>", False),
        ("autodiff/tape.hpp", "<sfumato/backend/workspace.hpp>", True),
        ("autodiff/tape.hpp", "<sfumato/backend/cuda/cuda.hpp>", False),
        ("tensor/shape.hpp", "<sfumato/ops/matmul.hpp>", False),
        ("tensor/tensor.hpp", "<sfumato/backend/kernels.hpp>", True),
        ("tensor/tensor.hpp", "<sfumato/backend/cpu/cpu.hpp>", False),
        ("backend/kernels.hpp", "<sfumato/backend/cpu/cpu.hpp>", False),
        ("backend/kernels.hpp", "<sfumato/tensor/shape.hpp>", False),
        ("backend/cpu/cpu.hpp", "<sfumato/backend/kernels.hpp>", True),
        ("base/error.hpp", "<sfumato/tensor/shape.hpp>", False),
        ("base/error.hpp", '"config.hpp"', True),
        ("backend/cpu/cpu.hpp", "<sfumato/ops/matmul.hpp>", False),
        ("backend/cpu/cpu.hpp", "<Eigen/Core>", True),
        ("backend/cpu/gemm.inc", "<sfumato/nn/linear.hpp>", False),
        ("io/image.hpp", "<sfumato/tensor/view.hpp>", False),
        ("io/image.hpp", "<stb/stb_image.h>", True),
        ("models/jit.hpp", "<sfumato/io/safetensors.hpp>", False),
        ("train/checkpoint.hpp", "<sfumato/io/safetensors.hpp>", True),
        ("train/checkpoint.hpp", "<zlib.h>", False),
        ("models/jit.hpp", "<sfumato/train/optimiser.hpp>", False),
        ("misc/odd.hpp", "<sfumato/base/error.hpp>", False),
        ("sfumato.hpp", "<sfumato/train/optimiser.hpp>", True),
    ]
    failures = 0
    for header, include, allowed in cases:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "sfumato" / header
            path.parent.mkdir(parents=True)
            path.write_text(f"#pragma once\n#include {include}\n")
            files, problems = check(directory)
            if len(files) != 1 or (len(problems) == 0) != allowed:
                failures += 1
                print(f"{header} with {include}: expected {'nothing' if allowed else 'a report'}, found {problems}")
    print(f"{len(cases)} planted includes, {failures} misjudged")
    return failures == 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    files, problems = check(sys.argv[1])
    print("\n".join(problems + [f"{len(files)} headers, {len(problems)} forbidden includes"]))
    return len(files) > 0 and not problems


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
