"""The numbers of discriminator.cpp: RAE's discriminator in numpy, after the published description: its heads on given features, and all of it on images. Run it to print them."""
import math
import numpy as np

W, KERNEL, TOKENS, BATCH, HEADS = 4, 3, 5, 2, 3
SHAPES = [("0.0.weight_orig", (W, W, 1)), ("0.0.weight_u", (W,)), ("0.0.weight_v", (W,)), ("0.0.bias", (W,)), ("0.1.weight", (W,)), ("0.1.bias", (W,)),
          ("1.fn.0.weight_orig", (W, W, KERNEL)), ("1.fn.0.weight_u", (W,)), ("1.fn.0.weight_v", (W * KERNEL,)), ("1.fn.0.bias", (W,)), ("1.fn.1.weight", (W,)), ("1.fn.1.bias", (W,)),
          ("2.weight_orig", (1, W, 1)), ("2.weight_u", (1,)), ("2.weight_v", (W,)), ("2.bias", (1,))]
P, k = {}, 0
for head in range(HEADS):
    for name, shape in SHAPES:
        n = np.arange(int(np.prod(shape)))
        P[f"{head}.{name}"] = (0.5 * np.sin(0.37 * n + 1.3 * k + 0.5)).reshape(shape)
        k += 1


def convolution(x, name):  # x: (batch, channels, tokens), a ring
    w, u, v = (P[name + s] for s in (".weight_orig", ".weight_u", ".weight_v"))
    w = w / (u @ w.reshape(len(w), -1) @ v)
    size = w.shape[2]
    y = np.zeros((x.shape[0], w.shape[0], x.shape[2]))
    for tap in range(size):
        y += np.einsum("oi,bin->bon", w[:, :, tap], np.roll(x, size // 2 - tap, axis=2))
    return y + P[name + ".bias"][None, :, None]


def norm(x, name):
    x = x - x.mean(2, keepdims=True)
    return x / np.sqrt((x * x).mean(2, keepdims=True) + 1e-6) * P[name + ".weight"][None, :, None] + P[name + ".bias"][None, :, None]


leaky = lambda x: np.where(x < 0, 0.2 * x, x)


def opinions(first, second):  # features of two blocks: (batch, channels, tokens)
    out = []
    for head, x in enumerate([second, first, second]):
        x = leaky(norm(convolution(x, f"{head}.0.0"), f"{head}.0.1"))
        x = (leaky(norm(convolution(x, f"{head}.1.fn.0"), f"{head}.1.fn.1")) + x) / np.sqrt(2)
        out.append(convolution(x, f"{head}.2")[:, 0])
    return np.concatenate(out, 1)


features = [np.cos(0.21 * np.arange(BATCH * TOKENS * W) + 0.9 * tap).reshape(BATCH, TOKENS, W).transpose(0, 2, 1) for tap in range(2)]
print(np.array2string(opinions(*features), precision=8, separator=", "))


# From images: a ViT of two blocks and one attention head for 10 x 10 pixels in patches of 2 x 2.
SIZE, PATCH, GRID = 10, 2, 5
NETWORK = [("patch.weight", (W, 3, PATCH, PATCH)), ("patch.bias", (W,)), ("cls", (1, 1, W)), ("positions", (1 + GRID * GRID, W))]
for b in range(2):
    NETWORK += [(f"{b}.norm1.weight", (W,)), (f"{b}.norm1.bias", (W,)), (f"{b}.qkv.weight", (3 * W, W)), (f"{b}.qkv.bias", (3 * W,)), (f"{b}.proj.weight", (W, W)), (f"{b}.proj.bias", (W,)),
                (f"{b}.norm2.weight", (W,)), (f"{b}.norm2.bias", (W,)), (f"{b}.fc1.weight", (4 * W, W)), (f"{b}.fc1.bias", (4 * W,)), (f"{b}.fc2.weight", (W, 4 * W)), (f"{b}.fc2.bias", (W,))]
N = {name: (0.5 * np.sin(0.37 * np.arange(int(np.prod(shape))) + 1.3 * k + 0.5)).reshape(shape) for k, (name, shape) in enumerate(NETWORK)}


def bilinear(images):
    side = images.shape[-1]
    at = (np.arange(SIZE) + 0.5) * side / SIZE - 0.5  # np.interp holds the border
    along = lambda x: np.apply_along_axis(lambda row: np.interp(at, np.arange(side), row), -1, x)
    return along(along(images).swapaxes(2, 3)).swapaxes(2, 3)


def linear(x, name):
    return x @ N[name + ".weight"].T + N[name + ".bias"]


def layer_norm(x, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * N[name + ".weight"] + N[name + ".bias"]


def blocks(images):  # in [-1, 1]; what each of them leaves behind, without the class token
    x = (0.5 * (bilinear(images) + 1) - np.array([0.485, 0.456, 0.406])[:, None, None]) / np.array([0.229, 0.224, 0.225])[:, None, None]
    patches = x.reshape(-1, 3, GRID, PATCH, GRID, PATCH).transpose(0, 2, 4, 1, 3, 5).reshape(-1, GRID * GRID, 3 * PATCH * PATCH)
    x = np.concatenate([np.tile(N["cls"], (len(x), 1, 1)), patches @ N["patch.weight"].reshape(W, -1).T + N["patch.bias"]], 1) + N["positions"]
    for b in range(2):
        q, k, v = np.split(linear(layer_norm(x, f"{b}.norm1"), f"{b}.qkv"), 3, -1)
        s = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(W))
        x = x + linear(s / s.sum(-1, keepdims=True) @ v, f"{b}.proj")
        h = linear(layer_norm(x, f"{b}.norm2"), f"{b}.fc1")
        x = x + linear(0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))), f"{b}.fc2")
        yield x[:, 1:].transpose(0, 2, 1)


for side in (8, 10, 14):
    y = opinions(*blocks(np.sin(0.13 * np.arange(2 * 3 * side * side) + 0.7).reshape(2, 3, side, side)))
    places = [f"{y[i, j]:.8f}" for i, j in [(0, 0), (0, 24), (0, 25), (1, 49), (1, 50), (1, 74)]]
    print("side", side, "mean", f"{y.mean():.8f}", "root mean square", f"{np.sqrt((y * y).mean()):.8f}", "[0][0], [0][24], [0][25], [1][49], [1][50], [1][74]", places)
w = P["1.1.fn.0.weight_orig"].reshape(W, -1)
v = w.T @ P["1.1.fn.0.weight_u"]
v /= np.linalg.norm(v)
u = w @ v
print("power iteration of heads.1.1.fn.0: u", u / np.linalg.norm(u), "v", v[:4], "sigma", np.linalg.norm(u), "largest", np.linalg.svd(w)[1][0])
