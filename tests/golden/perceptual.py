"""The numbers of perceptual.cpp: LPIPS on a VGG16 of 2 channels for 64, in numpy, after the published description. Run it to print them."""
import numpy as np

WIDTH, SIDE, BATCH = 2, 16, 2
SLICES = [[(3, 1), (1, 1)], [(1, 2), (2, 2)], [(2, 4), (4, 4), (4, 4)], [(4, 8), (8, 8), (8, 8)], [(8, 8), (8, 8), (8, 8)]]
k = 0


def fill(shape, lift=0.0):
    global k
    v = lift + 0.3 * np.sin(0.37 * np.arange(int(np.prod(shape))) + 1.3 * k + 0.5)
    k += 1
    return v.reshape(shape)


layers = []
for s, slice_ in enumerate(SLICES):
    for i, (a, b) in enumerate(slice_):
        a, b = (3 if (s, i) == (0, 0) else a * WIDTH), b * WIDTH
        layers.append((s, fill((b, a, 3, 3)), fill((b,))))
lins = [fill((1, w * WIDTH, 1, 1), 0.4).ravel() for w in (1, 2, 4, 8, 8)]


def features(x):
    x = (x - np.array([-.030, -.088, -.188])[None, :, None, None]) / np.array([.458, .448, .450])[None, :, None, None]
    out, last = [], 0
    for s, w, b in layers:
        if s != last:
            out.append(x)
            n = x.shape[2] // 2
            x = x.reshape(x.shape[0], x.shape[1], n, 2, n, 2).max((3, 5))
            last = s
        n = x.shape[2]
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        y = sum(np.einsum("oi,bihw->bohw", w[:, :, i, j], padded[:, :, i:i + n, j:j + n]) for i in range(3) for j in range(3))
        x = np.maximum(y + b[None, :, None, None], 0)
    return out + [x]


n = np.arange(BATCH * 3 * SIDE * SIDE)
x, y = (np.sin(f * n + o).reshape(BATCH, 3, SIDE, SIDE) for f, o in ((0.13, 0.7), (0.29, 0.2)))
total = 0
for a, b, lin in zip(features(x), features(y), lins):
    unit = lambda f: f / (np.sqrt((f * f).sum(1, keepdims=True)) + 1e-10)
    d = np.einsum("c,bchw->bhw", lin, (unit(a) - unit(b)) ** 2).mean((1, 2))
    print(d)
    total = total + d
print("each", total, "mean", total.mean())
