"""A small transformer block from CUDA kernels, on any back end that compiles CUDA C, each layer checked against NumPy.

    python examples/gpu/inference.py [--backend host] [--tokens 64] [--plot FILE.svg]

Embedding, layer norm, attention with softmax, matrix products in shared-memory tiles, GELU: what inference is made of.
It prints the time of each layer and how far it is from NumPy, and ends with status 1 where that is too far.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from polyvm import gpu

SOURCE = (Path(__file__).parent / "transformer.cu").read_text()
WIDTH, HEADS, TILE = 128, 4, 16
TOLERANCE = 1e-4


class Block:
    """The weights of a transformer block, the same for both sides."""

    def __init__(self, vocabulary: int = 500) -> None:
        rng = np.random.default_rng(0)

        def matrix(rows: int, columns: int) -> Any:
            return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)

        self.table = matrix(vocabulary, WIDTH)
        self.gain, self.bias = rng.random(WIDTH, np.float32) + 0.5, rng.random(WIDTH, np.float32)
        self.query, self.key, self.value, self.out = (matrix(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = matrix(WIDTH, 4 * WIDTH), matrix(4 * WIDTH, WIDTH)


def reference(weights: Block, tokens: Any) -> dict[str, Any]:
    """What NumPy says that each layer gives."""
    x = weights.table[tokens]
    normed = norm(x, weights)
    q, k, v = normed @ weights.query, normed @ weights.key, normed @ weights.value
    attended = np.zeros_like(q)
    size = WIDTH // HEADS
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T / np.sqrt(size)
        scores = np.where(np.tril(np.ones_like(scores)), scores, -np.inf)
        power = np.exp(scores - scores.max(1, keepdims=True))
        attended[:, part] = power / power.sum(1, keepdims=True) @ v[:, part]
    after = x + attended @ weights.out
    second = norm(after, weights)
    hidden = second @ weights.up
    active = 0.5 * hidden * (1 + np.tanh(0.7978845608 * (hidden + 0.044715 * hidden**3)))
    return {
        "embedding": x, "layer norm": normed, "query": q, "key": k, "value": v, "attention": attended,
        "projection": after, "second norm": second, "up": hidden, "gelu": active, "down": after + active @ weights.down,
    }  # fmt: skip


def norm(x: Any, weights: Block) -> Any:
    """Layer norm."""
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * weights.gain + weights.bias


class Device:
    """The same on a device."""

    def __init__(self, context: gpu.Context, weights: Block) -> None:
        self.context = context
        self.module = context.program(SOURCE, name="transformer.cu").compile()
        self.kernels = {name: self.module.kernel(name) for name in self.module.names}
        self.weights = {name: context.array(value) for name, value in vars(weights).items()}
        self.seconds: dict[str, float] = {}
        self.results: dict[str, Any] = {}

    def layer(
        self,
        name: str,
        kernel: str,
        grid: Any,
        block: Any,
        shape: tuple[int, int],
        *args: Any,
        shared: int = 0,
    ) -> Any:
        """One layer into a buffer of its own, timed when it was compiled before."""
        out = self.context.allocate(4 * shape[0] * shape[1])
        config = gpu.LaunchConfig(grid, block, shared)
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            gpu.launch(config, self.kernels[kernel], *args, out)
            self.context.synchronize()
            best = min(best, time.perf_counter() - begin)
        self.seconds[name] = best
        self.results[name] = out.read(np.empty(shape, np.float32))
        return out

    def product(self, name: str, a: Any, b: Any, add: Any, rows: int, columns: int, inner: int) -> Any:
        """a @ b, plus what is added."""
        grid, block = (columns // TILE, rows // TILE), (TILE, TILE)
        wanted = int(add is not None)
        return self.layer(
            name, "product", grid, block, (rows, columns), a, b, add or a, wanted, columns, inner
        )

    def run(self, tokens: Any) -> None:
        """The whole block."""
        n, w = len(tokens), self.weights
        x = self.layer(
            "embedding", "embedding", n, WIDTH, (n, WIDTH), self.context.array(tokens), w["table"], WIDTH
        )
        normed = self.layer("layer norm", "layer_norm", n, 32, (n, WIDTH), x, w["gain"], w["bias"], WIDTH)
        q, k, v = (
            self.product(name, normed, w[name], None, n, WIDTH, WIDTH) for name in ("query", "key", "value")
        )
        attended = self.layer(
            "attention", "attention", (n, HEADS), 32, (n, WIDTH), q, k, v, WIDTH, WIDTH // HEADS, shared=4 * n
        )
        after = self.product("projection", attended, w["out"], x, n, WIDTH, WIDTH)
        second = self.layer(
            "second norm", "layer_norm", n, 32, (n, WIDTH), after, w["gain"], w["bias"], WIDTH
        )
        hidden = self.product("up", second, w["up"], None, n, 4 * WIDTH, WIDTH)
        size = n * 4 * WIDTH
        active = self.layer("gelu", "gelu", size // 256, 256, (n, 4 * WIDTH), hidden, size)
        self.product("down", active, w["down"], after, n, WIDTH, 4 * WIDTH)


def plot(path: str, backend: str, seconds: dict[str, float]) -> None:
    """The layers' times as bars, in SVG."""
    longest = max(seconds.values())
    rows = []
    for number, (name, value) in enumerate(seconds.items()):
        y = 40 + 24 * number
        rows.append(f'<text x="110" y="{y + 13}" text-anchor="end">{name}</text>')
        rows.append(f'<rect x="120" y="{y}" width="{400 * value / longest:.1f}" height="18" fill="#4051b5"/>')
        rows.append(f'<text x="{126 + 400 * value / longest:.1f}" y="{y + 13}">{value * 1e6:.0f} us</text>')
    body = "\n".join(rows)
    height = 60 + 24 * len(seconds)
    Path(path).write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="620" '
        f'height="{height}" font-family="sans-serif" font-size="12">\n'
        f'<text x="120" y="24" font-size="14">Time of each layer, back end {backend}</text>\n{body}\n</svg>\n'
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", default="host", help="host or cuda")
    parser.add_argument("--tokens", type=int, default=64, help="how many, a multiple of 16")
    parser.add_argument("--plot", help="write the times as an SVG file")
    options = parser.parse_args()
    weights = Block()
    tokens = np.random.default_rng(1).integers(0, len(weights.table), options.tokens, np.int32)
    expected = reference(weights, tokens)
    with gpu.device(options.backend).context() as context:
        device = Device(context, weights)
        device.run(tokens)
        worst = 0.0
        for name, want in expected.items():
            error = float(abs(device.results[name] - want).max() / abs(want).max())
            worst = max(worst, error)
            print(f"{name:12} {device.seconds[name] * 1e6:9.0f} us   off by {error:.1e}")
        print(
            f"{context.device.name}: {sum(device.seconds.values()) * 1e3:.2f} ms for {options.tokens} tokens"
        )
    if options.plot:
        plot(options.plot, options.backend, device.seconds)
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
