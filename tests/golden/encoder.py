"""The numbers of encoder.cpp: tiny vision encoders in numpy, after the published description. Prints each stage's mean, root mean square and first elements."""
import math
import numpy as np

W, DEPTH, HEADS = 32, 2, 2


def fill(names):
    out = {}
    for k, (name, shape) in enumerate(names):
        n = np.arange(int(np.prod(shape)))
        v = (0.15 * np.sin(0.37 * n + 1.3 * k + 0.5)).astype(np.float32).astype(np.float64)
        out[name] = (1 + v if "norm" in name and name.endswith("weight") else v).reshape(shape)
    return out


def names(patch, positions, cls, registers, scale):
    out = [("patch.weight", (W, 3, patch, patch)), ("patch.bias", (W,))]
    out += [("cls", (1, 1, W))] * cls + [("registers", (1, registers, W))] * (registers > 0) + [("pos", (positions, W))]
    for i in range(DEPTH):
        b = f"{i}."
        out += [(b + "norm1.weight", (W,)), (b + "norm1.bias", (W,)), (b + "qkv.weight", (3 * W, W)), (b + "qkv.bias", (3 * W,)), (b + "proj.weight", (W, W)), (b + "proj.bias", (W,))]
        out += [(b + "ls1", (W,))] * scale
        out += [(b + "norm2.weight", (W,)), (b + "norm2.bias", (W,)), (b + "fc1.weight", (4 * W, W)), (b + "fc1.bias", (4 * W,)), (b + "fc2.weight", (W, 4 * W)), (b + "fc2.bias", (W,))]
        out += [(b + "ls2", (W,))] * scale
    return out


def cubic(x, a):
    x = abs(x)
    return ((a + 2) * x - (a + 3)) * x * x + 1 if x <= 1 else (a * (((x - 5) * x + 8) * x - 4) if x < 2 else 0.0)


def antialiased(n, m):
    t, s = np.zeros((m, n)), n / m
    st = max(s, 1)
    for i in range(m):
        c = s * (i + 0.5)
        for j in range(max(int(c - 2 * st + 0.5), 0), min(int(c + 2 * st + 0.5), n)):
            t[i, j] = cubic((j - c + 0.5) / st, -0.5)
        t[i] /= t[i].sum()
    return t


def plain(n, m):
    t, s = np.zeros((m, n)), n / m
    for i in range(m):
        at = s * (i + 0.5) - 0.5
        f = math.floor(at)
        for j in range(f - 1, f + 3):
            t[i, min(max(j, 0), n - 1)] += cubic(j - at, -0.75)
    return t


def layer_norm(x, w=1.0, b=0.0, eps=1e-6):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w + b


erf = np.vectorize(math.erf)
gelu = lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))
gelu_tanh = lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def run(images, size, patch, stored, resample, cls, registers, scale, act, eps, mean, std):
    P = fill(names(patch, stored * stored + cls, cls, registers, scale))
    if images.shape[-1] != size:
        r = plain(images.shape[-1], size)
        images = np.einsum("iy,bcyx,jx->bcij", r, images, r)
    x = (images - np.array(mean)[None, :, None, None]) / np.array(std)[None, :, None, None]
    g = size // patch
    B = x.shape[0]
    tokens = x.reshape(B, 3, g, patch, g, patch).transpose(0, 2, 4, 1, 3, 5).reshape(B, g * g, -1) @ P["patch.weight"].reshape(W, -1).T + P["patch.bias"]
    grid = P["pos"][cls:]
    if stored != g:
        r = resample(stored, g)
        grid = np.einsum("iy,yxc,jx->ijc", r, grid.reshape(stored, stored, W), r).reshape(g * g, W)
    x = tokens + grid
    front = []
    if cls:
        front.append(np.tile(P["cls"] + P["pos"][:1], (B, 1, 1)))
    if registers:
        front.append(np.tile(P["registers"], (B, 1, 1)))
    x = np.concatenate(front + [x], 1)
    for i in range(DEPTH):
        p = lambda n: P[f"{i}.{n}"]
        q, k, v = np.split(layer_norm(x, p("norm1.weight"), p("norm1.bias"), eps) @ p("qkv.weight").T + p("qkv.bias"), 3, -1)
        sp = lambda a: a.reshape(B, -1, HEADS, W // HEADS).transpose(0, 2, 1, 3)
        s = sp(q) @ sp(k).transpose(0, 1, 3, 2) / math.sqrt(W // HEADS)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        h = (s @ sp(v)).transpose(0, 2, 1, 3).reshape(x.shape) @ p("proj.weight").T + p("proj.bias")
        x = x + h * (p("ls1") if scale else 1)
        h = act(layer_norm(x, p("norm2.weight"), p("norm2.bias"), eps) @ p("fc1.weight").T + p("fc1.bias")) @ p("fc2.weight").T + p("fc2.bias")
        x = x + h * (p("ls2") if scale else 1)
    return layer_norm(x[:, cls + registers :], eps=eps)


def images(side):
    return (0.5 + 0.5 * np.sin(0.13 * np.arange(2 * 3 * side * side) + 0.7)).astype(np.float32).astype(np.float64).reshape(2, 3, side, side)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)
for name, y in {
    "DINOv2": run(images(16), 12, 3, 7, antialiased, 1, 4, True, gelu, 1e-6, *IMAGENET),
    "SigLIP2": run(images(12), 12, 3, 4, None, 0, 0, False, gelu_tanh, 1e-6, *HALF),
    "MAE": run(images(12), 12, 3, 3, plain, 1, 0, False, gelu, 1e-12, *IMAGENET),
}.items():
    print(name, f"{(y[:, :, 0]).mean():.6f}", [f"{v:.6f}" for v in y.reshape(-1)[:4]], [f"{y[i, j, k]:.6f}" for i, j, k in [(0, 15, 31), (1, 0, 0), (1, 7, 5), (1, 15, 31)]])
