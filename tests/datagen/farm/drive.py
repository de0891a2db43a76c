"""A driver in a process of its own, to be killed: ``python -m tests.datagen.farm.drive OUT CONFIG ADDRESS``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datagen.farm.driver import generate
from datagen.farm.interrupt import Interrupted
from manifests.clip import RenderSettings
from manifests.errors import UserError
from tests.datagen.farm.toy import ToyConfig, ToyPipeline


def main() -> int:
    out, config_file, address = sys.argv[1:]
    values = json.loads(Path(config_file).read_text())
    config = ToyConfig(**{**values, "render": RenderSettings(**values["render"])})
    try:
        generate(
            config,
            out,
            config_hash=config.config_hash,
            workers=2,
            address=address or None,
            pipeline=ToyPipeline,
        )
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except Interrupted as stop:
        sys.stderr.write(f"{stop}\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
