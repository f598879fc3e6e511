"""config.yaml: every option of a run, written whole before its first update."""

from enum import Enum
from pathlib import Path

import lightning.pytorch as pl
import yaml
from lightning.pytorch.cli import SaveConfigCallback

from regression.common.atomic_files import open_whole

__all__ = ["ConfigFile"]

# Options of some callbacks of Lightning, such as Timer, have enumerations as defaults, which YAML cannot represent.
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))


class ConfigFile(SaveConfigCallback):
    """Writes ``config.yaml`` whole or not at all."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write the file, before the first update."""
        folder = trainer.log_dir  # read on all processes, because the first one broadcasts it
        if folder is None or self.already_saved or not trainer.is_global_zero:
            return
        self.already_saved = True
        with open_whole(Path(folder, self.config_filename)) as file:
            # Validation is skipped because the configuration was validated when it was parsed.
            file.write(self.parser.dump(self.config, skip_none=False, skip_validation=True).encode())
