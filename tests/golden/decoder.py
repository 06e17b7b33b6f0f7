"""The numbers of decoder.cpp: a tiny decoder of a representation autoencoder in numpy, after the published description."""
import math
import numpy as np

C, W, DEPTH, HEADS, MLP, GRID, PATCH = 12, 36, 2, 2, 128, 3, 4
N = GRID * GRID
names = [("decoder_embed.weight", (W, C)), ("decoder_embed.bias", (W,)), ("decoder_pos_embed", (1, N + 1, W)), ("trainable_cls_token", (1, 1, W))]
for i in range(DEPTH):
    b = f"decoder_layers.{i}."
    names += [(b + "layernorm_before.weight", (W,)), (b + "layernorm_before.bias", (W,))]
    names += [(b + "attention.attention.qkv.weight", (3 * W, W)), (b + "attention.attention.qkv.bias", (3 * W,))]  # query, key and value, one after the other
    names += [(b + "attention.output.dense.weight", (W, W)), (b + "attention.output.dense.bias", (W,))]
    names += [(b + "layernorm_after.weight", (W,)), (b + "layernorm_after.bias", (W,))]
    names += [(b + "intermediate.dense.weight", (MLP, W)), (b + "intermediate.dense.bias", (MLP,)), (b + "output.dense.weight", (W, MLP)), (b + "output.dense.bias", (W,))]
names += [("decoder_norm.weight", (W,)), ("decoder_norm.bias", (W,)), ("decoder_pred.weight", (3 * PATCH * PATCH, W)), ("decoder_pred.bias", (3 * PATCH * PATCH,))]
P = {}
for k, (name, shape) in enumerate(names):
    v = (0.15 * np.sin(0.37 * np.arange(int(np.prod(shape))) + 1.3 * k + 0.5)).astype(np.float32).astype(np.float64)
    P[name] = (1 + v if "norm" in name and name.endswith("weight") else v).reshape(shape)
table = np.zeros((N + 1, W))
omega = 10000.0 ** (-np.arange(W // 4) / (W // 4))
for t in range(N):
    r, c = divmod(t, GRID)
    table[t + 1] = np.concatenate([np.sin(c * omega), np.cos(c * omega), np.sin(r * omega), np.cos(r * omega)])
lin = lambda x, n: x @ P[n + ".weight"].T + P[n + ".bias"]


def layer_norm(x, n):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12) * P[n + ".weight"] + P[n + ".bias"]


erf = np.vectorize(math.erf)
z = np.sin(0.13 * np.arange(2 * N * C) + 0.7).astype(np.float32).astype(np.float64).reshape(2, N, C)
x = np.concatenate([np.tile(P["trainable_cls_token"], (2, 1, 1)), lin(z, "decoder_embed")], 1) + table
for i in range(DEPTH):
    b = f"decoder_layers.{i}."
    q, k, v = np.split(lin(layer_norm(x, b + "layernorm_before"), b + "attention.attention.qkv"), 3, -1)
    sp = lambda a: a.reshape(2, N + 1, HEADS, W // HEADS).transpose(0, 2, 1, 3)
    s = sp(q) @ sp(k).transpose(0, 1, 3, 2) / math.sqrt(W // HEADS)
    s = np.exp(s - s.max(-1, keepdims=True))
    s /= s.sum(-1, keepdims=True)
    x = x + lin((s @ sp(v)).transpose(0, 2, 1, 3).reshape(x.shape), b + "attention.output.dense")
    h = lin(layer_norm(x, b + "layernorm_after"), b + "intermediate.dense")
    x = x + lin(0.5 * h * (1 + erf(h / math.sqrt(2))), b + "output.dense")
y = lin(layer_norm(x, "decoder_norm"), "decoder_pred")[:, 1:]
y = y.reshape(2, GRID, GRID, PATCH, PATCH, 3).transpose(0, 5, 1, 3, 2, 4).reshape(2, 3, GRID * PATCH, GRID * PATCH)
y = y * np.array([0.229, 0.224, 0.225])[None, :, None, None] + np.array([0.485, 0.456, 0.406])[None, :, None, None]
print(f"{y.mean():.6f} {np.sqrt((y * y).mean()):.6f}", [f"{v:.6f}" for v in y.reshape(-1)[:4]], [f"{y[i]:.6f}" for i in [(0, 1, 5, 7), (0, 2, 11, 11), (1, 0, 0, 0), (1, 2, 3, 4)]])
