"""The numbers of mae.cpp: a tiny masked autoencoder in numpy, after He et al. 2022, and its loss on patches that Philox picks. Prints what it says of
the hidden patches for a given order (mean, root mean square, first elements, some places), then orders that are drawn, and both losses on them."""
import math
import numpy as np

SIDE, PATCH, W, DEPTH, D, DDEPTH, HEADS, VISIBLE = 12, 3, 32, 2, 24, 1, 2, 6
GRID = SIDE // PATCH
N, V = GRID * GRID, 3 * PATCH * PATCH


def block(b, w):
    return [(b + "norm1.weight", (w,)), (b + "norm1.bias", (w,)), (b + "attn.qkv.weight", (3 * w, w)), (b + "attn.qkv.bias", (3 * w,)), (b + "attn.proj.weight", (w, w)),
            (b + "attn.proj.bias", (w,)), (b + "norm2.weight", (w,)), (b + "norm2.bias", (w,)), (b + "mlp.fc1.weight", (4 * w, w)), (b + "mlp.fc1.bias", (4 * w,)),
            (b + "mlp.fc2.weight", (w, 4 * w)), (b + "mlp.fc2.bias", (w,))]


names = [("patch_embed.proj.weight", (W, 3, PATCH, PATCH)), ("patch_embed.proj.bias", (W,)), ("cls_token", (1, 1, W)), ("pos_embed", (1, N + 1, W))]
for i in range(DEPTH):
    names += block(f"blocks.{i}.", W)
names += [("decoder_embed.weight", (D, W)), ("decoder_embed.bias", (D,)), ("mask_token", (1, 1, D)), ("decoder_pos_embed", (1, N, D))]
for i in range(DDEPTH):
    names += block(f"decoder_blocks.{i}.", D)
names += [("decoder_norm.weight", (D,)), ("decoder_norm.bias", (D,)), ("decoder_pred.weight", (V, D)), ("decoder_pred.bias", (V,))]
P = {}
for k, (name, shape) in enumerate(names):
    v = (0.15 * np.sin(0.37 * np.arange(int(np.prod(shape))) + 1.3 * k + 0.5)).astype(np.float32).astype(np.float64)
    P[name] = (1 + v if "norm" in name and name.endswith("weight") else v).reshape(shape)
omega = 10000.0 ** (-np.arange(D // 4) / (D // 4))
for t in range(N):
    r, c = divmod(t, GRID)
    P["decoder_pos_embed"][0, t] = np.concatenate([np.sin(c * omega), np.cos(c * omega), np.sin(r * omega), np.cos(r * omega)])
lin = lambda x, n: x @ P[n + ".weight"].reshape(P[n + ".weight"].shape[0], -1).T + P[n + ".bias"]


def standardised(x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)


norm = lambda x, n: standardised(x) * P[n + ".weight"] + P[n + ".bias"]
gelu = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))


def blocks(x, begin, depth):
    n, t, w = x.shape
    for i in range(depth):
        b = f"{begin}{i}."
        q, k, v = np.split(lin(norm(x, b + "norm1"), b + "attn.qkv"), 3, -1)
        sp = lambda a: a.reshape(n, t, HEADS, w // HEADS).transpose(0, 2, 1, 3)
        s = sp(q) @ sp(k).transpose(0, 1, 3, 2) / math.sqrt(w // HEADS)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        x = x + lin((s @ sp(v)).transpose(0, 2, 1, 3).reshape(n, t, w), b + "attn.proj")
        x = x + lin(gelu(lin(norm(x, b + "norm2"), b + "mlp.fc1")), b + "mlp.fc2")
    return x


def says(x, order):
    """Of normalised images, what the patches hold that stand behind the first VISIBLE of the order."""
    n = len(x)
    patches = x.reshape(n, 3, GRID, PATCH, GRID, PATCH).transpose(0, 2, 4, 1, 3, 5).reshape(n, N, V)
    tokens = lin(patches, "patch_embed.proj") + P["pos_embed"][:, 1:]
    shown = np.stack([tokens[b][order[b][:VISIBLE]] for b in range(n)])
    cls = np.tile(P["cls_token"] + P["pos_embed"][:, :1], (n, 1, 1))
    seen = standardised(blocks(np.concatenate([cls, shown], 1), "blocks.", DEPTH)[:, 1:])
    everywhere = np.tile(P["mask_token"], (n, N, 1))  # in the images' own order: tokens where they were shown, masks elsewhere
    for b in range(n):
        everywhere[b][order[b][:VISIBLE]] = lin(seen[b], "decoder_embed")
    y = lin(norm(blocks(everywhere + P["decoder_pos_embed"], "decoder_blocks.", DDEPTH), "decoder_norm"), "decoder_pred")
    return np.stack([y[b][order[b][VISIBLE:]] for b in range(n)])


def bits(seed, stream, step, index):
    """Philox4x32-10."""
    c, k = [index // 4 & 0xFFFFFFFF, index // 4 >> 32, step, stream], [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[index % 4]


def drawn(seed, step, sample):
    order = list(range(N))
    for i in range(N - 1, 0, -1):
        j = bits(seed, 10, step, sample * N + i) * (i + 1) >> 32  # 10: the masks' stream
        order[i], order[j] = order[j], order[i]
    return order


images = np.sin(0.13 * np.arange(2 * 3 * SIDE * SIDE) + 0.7).astype(np.float32).astype(np.float64).reshape(2, 3, SIDE, SIDE)
x = ((images + 1) / 2 - np.array([0.485, 0.456, 0.406])[None, :, None, None]) / np.array([0.229, 0.224, 0.225])[None, :, None, None]
y = says(x, [[(5 * i + 3 + 7 * b) % N for i in range(N)] for b in range(2)])
print(f"{y.mean():.6f} {np.sqrt((y * y).mean()):.6f}", [f"{v:.6f}" for v in y.reshape(-1)[:4]], [f"{y[i]:.6f}" for i in [(0, 9, 26), (1, 0, 0), (1, 3, 14), (1, 9, 26)]])
order = [drawn(3, 5, sample) for sample in (2, 3)]
print(order)
patches = x.reshape(2, 3, GRID, PATCH, GRID, PATCH).transpose(0, 2, 4, 3, 5, 1).reshape(2, N, V)  # row, column, channel
hidden = np.stack([patches[b][order[b][VISIBLE:]] for b in range(2)])
y = says(x, order)
print(f"normalised {((y - standardised(hidden)) ** 2).mean():.6f}, plain {((y - hidden) ** 2).mean():.6f}")
