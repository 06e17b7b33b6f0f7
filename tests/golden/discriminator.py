"""The numbers of discriminator.cpp: RAE's discriminator heads in numpy, after the published description, on given features. Run it to print them."""
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
features = [np.cos(0.21 * np.arange(BATCH * TOKENS * W) + 0.9 * tap).reshape(BATCH, TOKENS, W).transpose(0, 2, 1) for tap in range(2)]
out = []
for head, x in enumerate([features[1], features[0], features[1]]):
    x = leaky(norm(convolution(x, f"{head}.0.0"), f"{head}.0.1"))
    x = (leaky(norm(convolution(x, f"{head}.1.fn.0"), f"{head}.1.fn.1")) + x) / np.sqrt(2)
    out.append(convolution(x, f"{head}.2")[:, 0])
print(np.array2string(np.concatenate(out, 1), precision=8, separator=", "))
w = P["1.1.fn.0.weight_orig"].reshape(W, -1)
v = w.T @ P["1.1.fn.0.weight_u"]
v /= np.linalg.norm(v)
u = w @ v
print("power iteration of heads.1.1.fn.0: u", u / np.linalg.norm(u), "v", v[:4], "sigma", np.linalg.norm(u), "largest", np.linalg.svd(w)[1][0])
