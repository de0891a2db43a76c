"""How far sampled motion reaches: the range of each face shape, and which shapes are seen together.

    python -m benchmarks.motion [--clips 2000]

Dynamic clips of the paper's configuration at 15 pictures a second, 81 pictures each.
"""

from __future__ import annotations

import argparse

import numpy as np

from datagen.config import load_config
from datagen.heads import head_info
from datagen.sampling.faces import NOT_USED
from datagen.sampling.motion import sample_motion

REACHED, ACTIVE = 0.6, 0.3
ARKIT = 52


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000)
    clips = parser.parse_args().clips
    head, settings = head_info("open"), load_config("paper").motion
    names = head.expression_names[:ARKIT]
    times = np.arange(81) / 15
    shape = np.zeros(head.identity_size, np.float32)
    peaks = np.zeros((clips, ARKIT))
    together = np.zeros((ARKIT, ARKIT), int)
    for index in range(clips):
        curves = sample_motion(settings, head, shape, 0, index, times).motion.expression[:, :ARKIT]
        peaks[index] = curves.max(axis=0)
        active = (curves > ACTIVE).astype(np.float32)
        together += (active.T @ active > 0).astype(int)
    print(f"{'shape':22} most   95 %   clips in which it passes {ACTIVE}")
    for place, name in enumerate(names):
        why = f"   not used: {NOT_USED[name]}" if name in NOT_USED else ""
        peak = peaks[:, place]
        print(f"{name:22} {peak.max():4.2f}   {np.quantile(peak, 0.95):4.2f}   {np.mean(peak > ACTIVE):6.1%}{why}")
    used = [place for place, name in enumerate(names) if name not in NOT_USED]
    short = [names[place] for place in used if peaks[:, place].max() < REACHED]
    pairs = [(a, b) for k, a in enumerate(used) for b in used[k + 1 :]]
    apart = [(names[a], names[b]) for a, b in pairs if not together[a, b]]
    print(f"{len(used)} shapes are used; {len(short)} never reach {REACHED}: {', '.join(short) or 'none'}")
    print(f"of {len(pairs)} pairs {len(pairs) - len(apart)} are seen together, both above {ACTIVE}; never:")
    print("  " + ", ".join(f"{a}+{b}" for a, b in apart))


if __name__ == "__main__":
    main()
