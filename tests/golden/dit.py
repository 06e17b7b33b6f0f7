"""The numbers of dit.cpp: tiny networks of RAE's diffusion stage in numpy, after the published description. Prints mean, root mean square and first elements of each stage."""
import math
import numpy as np

C, G, CLASSES, F = 12, 4, 5, 256
N = G * G


def names(d, depth, dh, hdepth):
    out = [("pos_embed", (1, N, d))]
    if dh:
        out += [("x_embedder.proj.weight", (dh, C, 1, 1)), ("x_embedder.proj.bias", (dh,)), ("s_embedder.proj.weight", (d, C, 1, 1)), ("s_embedder.proj.bias", (d,))]
        out += [("s_projector.weight", (dh, d)), ("s_projector.bias", (dh,))] * (dh != d)
    else:
        out += [("x_embedder.proj.weight", (d, C, 1, 1)), ("x_embedder.proj.bias", (d,))]
    out += [("t_embedder.W", (F,)), ("t_embedder.mlp.0.weight", (d, 2 * F)), ("t_embedder.mlp.0.bias", (d,)), ("t_embedder.mlp.2.weight", (d, d)), ("t_embedder.mlp.2.bias", (d,))]
    out += [("y_embedder.embedding_table.weight", (CLASSES + 1, d))]
    for i in range(depth + hdepth):
        w = d if i < depth else dh
        h = int(2 * 4 * w / 3)
        b = f"blocks.{i}."
        out += [(b + "norm1.weight", (w,)), (b + "attn.qkv.weight", (3 * w, w)), (b + "attn.qkv.bias", (3 * w,)), (b + "attn.proj.weight", (w, w)), (b + "attn.proj.bias", (w,))]
        out += [(b + "norm2.weight", (w,)), (b + "mlp.w12.weight", (2 * h, w)), (b + "mlp.w12.bias", (2 * h,)), (b + "mlp.w3.weight", (w, h)), (b + "mlp.w3.bias", (w,))]
        out += [(b + "adaLN_modulation.1.weight", (6 * w, w)), (b + "adaLN_modulation.1.bias", (6 * w,))]
    w = dh or d
    out += [("final_layer.norm_final.weight", (w,)), ("final_layer.linear.weight", (C, w)), ("final_layer.linear.bias", (C,))]
    return out + [("final_layer.adaLN_modulation.1.weight", (2 * w, w)), ("final_layer.adaLN_modulation.1.bias", (2 * w,))]


def sincos(d):
    out, q = np.zeros((N, d)), d // 4
    w = 10000.0 ** (-np.arange(q) / q)
    for t in range(N):
        r, c = divmod(t, G)
        out[t] = np.concatenate([np.sin(c * w), np.cos(c * w), np.sin(r * w), np.cos(r * w)])
    return out


def rope(x):
    d = x.shape[-1]
    half = d // 2
    theta = 10000.0 ** (-2 * np.arange(half // 2) / half)
    pos = np.arange(N)
    angle = np.concatenate([np.repeat((pos // G)[:, None] * theta, 2, 1), np.repeat((pos % G)[:, None] * theta, 2, 1)], 1)
    turned = np.empty_like(x)
    turned[..., 0::2], turned[..., 1::2] = -x[..., 1::2], x[..., 0::2]
    return x * np.cos(angle) + turned * np.sin(angle)


def silu(x):
    return x / (1 + np.exp(-x))


def run(title, d, depth, heads, dh=0, hdepth=0, hheads=0):
    P = {}
    for k, (name, shape) in enumerate(names(d, depth, dh, hdepth)):
        if k == 0:
            P[name] = sincos(d)[None]
            continue
        v = (0.15 * np.sin(0.37 * np.arange(int(np.prod(shape))) + 1.3 * k + 0.5)).astype(np.float32).astype(np.float64)
        P[name] = (1 + v if "norm" in name else v).reshape(shape)

    def lin(x, n):
        return x @ P[n + ".weight"].reshape(P[n + ".weight"].shape[0], -1).T + P[n + ".bias"]

    def rms(x, n):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * P[n + ".weight"]

    def attn(x, n, heads):
        b, t, w = x.shape
        q, k, v = np.split(lin(x, n + ".qkv"), 3, -1)
        sp = lambda a: a.reshape(b, t, heads, w // heads).transpose(0, 2, 1, 3)
        s = rope(sp(q)) @ rope(sp(k)).transpose(0, 1, 3, 2) / math.sqrt(w // heads)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        return lin((s @ sp(v)).transpose(0, 2, 1, 3).reshape(b, t, w), n + ".proj")

    def mlp(x, n):
        a, b = np.split(lin(x, n + ".w12"), 2, -1)
        return lin(silu(a) * b, n + ".w3")

    def block(x, c, i, heads):
        b = f"blocks.{i}."
        c = c[:, None] if c.ndim == 2 else c
        sa, ca, ga, sm, cm, gm = np.split(lin(silu(c), b + "adaLN_modulation.1"), 6, -1)
        x = x + ga * attn(rms(x, b + "norm1") * (1 + ca) + sa, b + "attn", heads)
        return x + gm * mlp(rms(x, b + "norm2") * (1 + cm) + sm, b + "mlp")

    def final(x, c):
        c = c[:, None] if c.ndim == 2 else c
        shift, scale = np.split(lin(silu(c), "final_layer.adaLN_modulation.1"), 2, -1)
        return lin(rms(x, "final_layer.norm_final") * (1 + scale) + shift, "final_layer.linear")

    z = np.sin(0.13 * np.arange(2 * N * C) + 0.7).astype(np.float32).astype(np.float64).reshape(2, N, C)
    t, y = np.array([0.3, 0.85]), np.array([1, 5])
    e = 2 * np.pi * t[:, None] * P["t_embedder.W"][None]
    time = lin(silu(lin(np.concatenate([np.sin(e), np.cos(e)], 1), "t_embedder.mlp.0")), "t_embedder.mlp.2")
    c = time + P["y_embedder.embedding_table.weight"][y]
    stages = {"time": time}
    s = lin(z, "s_embedder.proj" if dh else "x_embedder.proj") + P["pos_embed"]
    stages["embedded"] = s
    for i in range(depth):
        s = block(s, silu(c) if dh else c, i, heads)
        stages[f"block {i}"] = s
    if dh:
        s = silu(time[:, None] + s)
        if dh != d:
            s = lin(s, "s_projector")
        stages["told"] = s
        h = lin(z, "x_embedder.proj")
        for i in range(hdepth):
            h = block(h, s, depth + i, hheads)
            stages[f"head block {i}"] = h
        out = final(h, s)
    else:
        out = final(s, c)
    stages["output"] = out
    print(title)
    for name, v in stages.items():
        print(" ", name, f"{v.mean():.6f} {np.sqrt((v * v).mean()):.6f}", [f"{x:.6f}" for x in v.reshape(-1)[:4]])
    print("  places", [f"{out[i, j, k]:.6f}" for i, j, k in [(0, 15, 11), (1, 0, 0), (1, 7, 5), (1, 15, 11)]])


run("DiT-DH", 32, 2, 2, 48, 2, 2)
run("DiT-DH whose head is as wide as its trunk", 32, 1, 2, 32, 1, 2)
run("DiT", 32, 2, 2)
