"""The numbers of vae.cpp: a tiny AutoencoderKL in numpy, by diffusers' description of it (channels first, padding written out). Prints mean and
root mean square of posterior mean, log-variance and decoded image, and some of their values."""
import numpy as np

SIDE, CHANNELS, LATENT, WIDTHS, LAYERS, GROUPS = 8, 3, 4, (8, 16), 2, 4


def parameter(name, shape):
    phase = 0.01 * (sum((k + 1) * ord(c) for k, c in enumerate(name)) % 1000)
    v = (0.15 * np.sin(0.37 * np.arange(int(np.prod(shape))) + phase)).astype(np.float32).astype(np.float64)
    return (1 + v if "norm" in name and name.endswith("weight") else v).reshape(shape)


def conv(x, name, out, kernel=3, stride=1, pad=((1, 1), (1, 1))):
    w, b = parameter(name + ".weight", (out, x.shape[1], kernel, kernel)), parameter(name + ".bias", (out,))
    x = np.pad(x, ((0, 0), (0, 0)) + (pad if kernel > 1 else ((0, 0), (0, 0))))
    rows, columns = (x.shape[2] - kernel) // stride + 1, (x.shape[3] - kernel) // stride + 1
    y = np.zeros((x.shape[0], out, rows, columns))
    for i in range(rows):
        for j in range(columns):
            y[:, :, i, j] = np.tensordot(x[:, :, i * stride:i * stride + kernel, j * stride:j * stride + kernel], w, ((1, 2, 3), (1, 2, 3))) + b
    return y


def norm(x, name):
    n, c, h, w = x.shape
    g = x.reshape(n, GROUPS, -1)
    g = (g - g.mean(-1, keepdims=True)) / np.sqrt(g.var(-1, keepdims=True) + 1e-6)
    return g.reshape(x.shape) * parameter(name + ".weight", (c,))[:, None, None] + parameter(name + ".bias", (c,))[:, None, None]


silu = lambda x: x / (1 + np.exp(-x))


def resnet(x, name, out):
    h = conv(silu(norm(x, name + ".norm1")), name + ".conv1", out)
    h = conv(silu(norm(h, name + ".norm2")), name + ".conv2", out)
    return h + (x if x.shape[1] == out else conv(x, name + ".conv_shortcut", out, 1))


def attention(x, name):
    n, c, h, w = x.shape
    t = norm(x, name + ".group_norm").reshape(n, c, h * w).transpose(0, 2, 1)
    lin = lambda y, m: y @ parameter(f"{name}.{m}.weight", (c, c)).T + parameter(f"{name}.{m}.bias", (c,))
    s = lin(t, "to_q") @ lin(t, "to_k").transpose(0, 2, 1) / np.sqrt(c)
    s = np.exp(s - s.max(-1, keepdims=True))
    y = lin(s / s.sum(-1, keepdims=True) @ lin(t, "to_v"), "to_out.0")
    return x + y.transpose(0, 2, 1).reshape(x.shape)


def middle(x, name):
    x = resnet(x, name + ".resnets.0", x.shape[1])
    return resnet(attention(x, name + ".attentions.0"), name + ".resnets.1", x.shape[1])


def encode(x):
    x = conv(x, "encoder.conv_in", WIDTHS[0])
    for i, w in enumerate(WIDTHS):
        for j in range(LAYERS):
            x = resnet(x, f"encoder.down_blocks.{i}.resnets.{j}", w)
        if i + 1 < len(WIDTHS):
            x = conv(x, f"encoder.down_blocks.{i}.downsamplers.0.conv", w, stride=2, pad=((0, 1), (0, 1)))
    x = conv(silu(norm(middle(x, "encoder.mid_block"), "encoder.conv_norm_out")), "encoder.conv_out", 2 * LATENT)
    x = conv(x, "quant_conv", 2 * LATENT, 1)
    return x[:, :LATENT], np.clip(x[:, LATENT:], -30, 20)


def decode(z):
    x = conv(conv(z, "post_quant_conv", LATENT, 1), "decoder.conv_in", WIDTHS[-1])
    x = middle(x, "decoder.mid_block")
    for i, w in enumerate(reversed(WIDTHS)):
        for j in range(LAYERS + 1):
            x = resnet(x, f"decoder.up_blocks.{i}.resnets.{j}", w)
        if i + 1 < len(WIDTHS):
            x = conv(x.repeat(2, 2).repeat(2, 3), f"decoder.up_blocks.{i}.upsamplers.0.conv", w)
    return conv(silu(norm(x, "decoder.conv_norm_out")), "decoder.conv_out", CHANNELS)


x = np.sin(0.13 * np.arange(2 * CHANNELS * SIDE * SIDE) + 0.7).astype(np.float32).astype(np.float64).reshape(2, CHANNELS, SIDE, SIDE)
mean, log_variance = encode(x)
for what, y in (("mean", mean), ("log-variance", log_variance), ("decoded", decode(mean))):
    f = y.reshape(-1)
    print(f"{what}: {f.mean():.6f} {np.sqrt((f * f).mean()):.6f}", " ".join(f"[{i}] {f[i]:.6f}" for i in (0, 1, 17, len(f) // 2, len(f) - 1)))
