"""The command: ``python train.py fit -c configs/line.yaml``."""

from regression.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
