"""The command: ``python train.py fit -c configs/line.yaml``."""

import gc
import sys

gc.disable()  # hardly anything of what is imported is garbage, and looking for it takes a fifth of the start

try:
    if __name__ == "__main__":
        from regression.runs.started_processes import start_early

        start_early(sys.argv[1:])  # the other processes of the run import while this one does
    from regression.cli import main
except KeyboardInterrupt:
    print("regression: stopped by Ctrl-C; nothing is lost: the run had not begun", file=sys.stderr)
    raise SystemExit(130) from None

if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    raise SystemExit(main())
