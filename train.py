"""The command: ``python train.py fit -c configs/line.yaml``."""

import gc

gc.disable()  # hardly anything of what is imported is garbage, and looking for it takes a fifth of the start

from regression.cli import main  # noqa: E402

if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    raise SystemExit(main())
