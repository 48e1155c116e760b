"""Runs the fuzz targets, one process each: `./dev fuzz [--seconds N] [--cpu] [--jobs N] [--seed N] [--plain] [TARGET ...]`.

A target is a file fuzz_*.py here; without a name all of them run, one after the other or --jobs at a time. Ends with a line per target,
and with status 1 when one has found something: its output was shown, and the octets that did it are a file in .fuzz/. With --cpu the
seconds are of the processor: on a busy machine a target is run again, with the next seed, until it has had them.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOUND = HERE.parent / ".fuzz"  # libFuzzer leaves what breaks a target in the folder where it runs
STARTING = 120  # seconds a target may take beyond its time: instrumenting, and the last input


def main() -> int:
    targets = {path.stem.removeprefix("fuzz_"): path for path in sorted(HERE.glob("fuzz_*.py"))}
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--cpu", action="store_true", help="seconds of processor time")
    parser.add_argument("--jobs", type=int, default=1, help="targets that run at a time; with --cpu one, or whose time it was is not known")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the mutations (default: the time)")
    parser.add_argument("--plain", action="store_true", help="without Atheris")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets)}")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in targets]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    if options.jobs < 1 or (options.cpu and options.jobs > 1):
        parser.error("--jobs is 1 or more, and 1 with --cpu")
    FOUND.mkdir(exist_ok=True)
    names = list(dict.fromkeys(options.targets or targets))
    with ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip(names, pool.map(lambda name: run(targets[name], options), names), strict=True))
    print("\n".join(f"fuzz {name:24} {result}" for name, result in results.items()))
    return 0 if all(result.startswith("clean") for result in results.values()) else 1


def run(path: Path, options: argparse.Namespace) -> str:
    """One target, for as long as was asked; what came of it in a few words."""
    executions, used, seed = 0, 0.0, options.seed
    while True:
        before = _processor_time()
        result = _run_once(path, options.seconds - used * options.cpu, seed, options.plain)
        used += _processor_time() - before
        if isinstance(result, str):
            return result
        executions += result
        # the last second of the time asked for may be the start of a process
        if not options.cpu or used >= options.seconds - 1:
            alone = f" in {used:.0f} s of processor time" if options.jobs == 1 else ""  # of all that run, else
            return f"clean, {executions} executions{alone}"
        seed += 1


def _run_once(path: Path, seconds: float, seed: int, plain: bool) -> int | str:
    """Its executions, or what is wrong; output is shown only when it has found something."""
    command = [sys.executable, str(path), "--seconds", str(seconds), "--seed", str(seed), *(["--plain"] * plain)]
    print(f"== {path.name}, seed {seed}", flush=True)
    try:
        done = subprocess.run(command, capture_output=True, cwd=FOUND, timeout=seconds + STARTING, check=False)
    except subprocess.TimeoutExpired as error:
        print(((error.stdout or b"") + (error.stderr or b"")).decode(errors="replace")[-8000:])
        return "HUNG"
    output = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode:
        print(output[-8000:])
        return f"BROKEN (status {done.returncode})"
    found = re.search(r"number_of_executed_units: (\d+)|(\d+) executions", output)
    return int(found[1] or found[2]) if found else "SILENT"


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
