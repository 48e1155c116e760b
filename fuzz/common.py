"""What every fuzz target shares: `run(fuzz_one, seeds)` is the main of a target.

With Atheris installed the fuzzing is guided by coverage; elsewhere a plain loop mutates the seeds. A target is a function from octets
to nothing that lets only bugs raise: it catches the exceptions that its parser may raise, by name.

    python fuzz/fuzz_grammar.py [--seconds N] [--seed N]     prints executions, or the octets that broke it and exits 1
    python fuzz/fuzz_grammar.py FILE...                      runs these inputs once
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Target = Callable[[bytes], None]


def mutate(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """`data` with a few small accidents: octets changed, cut, doubled, or spliced in from another seed."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(out))
        end = min(len(out), at + chance.randint(0, 12))
        match chance.randrange(6):
            case 0:
                out[at:at] = bytes([chance.choice(b"\r\n\0.<>@:;=+\"\\ \x7f\xff") if chance.random() < 0.7 else chance.randrange(256)])
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end] * chance.randint(1, 3)
            case 3 if at < len(out):
                out[at] = chance.randrange(256)
            case _:
                other = chance.choice(seeds)
                start = chance.randint(0, len(other))
                out[at:end] = other[start : start + chance.randint(1, 40)]
    return bytes(out)


def _loop(fuzz_one: Target, seeds: Sequence[bytes], seconds: float, chance: random.Random) -> int:
    corpus = list(seeds)
    executions = 0
    until = time.monotonic() + seconds
    for data in seeds:
        fuzz_one(data)
    while time.monotonic() < until:
        for _ in range(200):
            data = mutate(chance.choice(corpus), chance, seeds)
            try:
                fuzz_one(data)
            except Exception:
                print(f"broken by {data!r}", file=sys.stderr)
                raise
            executions += 1
            if len(data) < 4096 and chance.random() < 0.002:
                corpus.append(data)  # mutants of mutants wander off further than mutants of seeds
                del corpus[len(seeds) : len(corpus) - 500]
    return executions


def _guided(fuzz_one: Target, seeds: Sequence[bytes], seconds: float, seed: int) -> None:
    """Atheris ends the process itself, and prints its executions."""
    import tempfile

    import atheris

    folder = tempfile.mkdtemp(prefix="fuzz-")
    for number, data in enumerate(seeds):
        (Path(folder) / f"{number:04}").write_bytes(data)
    atheris.instrument_all()
    flags = [sys.argv[0], f"-max_total_time={int(seconds)}", f"-seed={seed}", "-max_len=4096", "-print_final_stats=1", folder]
    atheris.Setup(flags, fuzz_one)
    atheris.Fuzz()


def run(fuzz_one: Target, seeds: Sequence[bytes]) -> None:
    """The main of a target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="the mutation loop even where Atheris is installed")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args()
    if options.files:
        for file in options.files:
            fuzz_one(file.read_bytes())
        print(f"{len(options.files)} inputs")
        return
    if not options.plain:
        try:
            _guided(fuzz_one, seeds, options.seconds, options.seed)
            return
        except ImportError:
            pass
    executions = _loop(fuzz_one, seeds, options.seconds, random.Random(options.seed))
    print(f"{executions} executions in {options.seconds:g} s without a failure")
