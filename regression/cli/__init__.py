"""The command. May import every other wing, and the package's public names.

- ``entry``: the entry of the command: runs it, prints errors in one line, and returns the exit status.
- ``commands``: fit, validate, test and predict, based on Lightning's command line.
- ``config_file``: writes config.yaml.
- ``plot_command``: plot, which needs no Trainer.
- ``export_command``: export, which needs no Trainer.
- ``arguments``: the order of the command line's words, and the options that a checkpoint adds.
- ``short_options``: replaces a file and short options by the long options that they mean.
- ``help_page``: the help of one screen.
- ``checks``: refuses options of the Trainer that are wrong or have no effect.
- ``parser_internals``: the private names of jsonargparse, and of Lightning's command line.
- ``trusted_classes``: the classes that a configuration may name.
- ``messages``: converts an error to one line.
"""

from regression.runs.environment import clean_environment

clean_environment()  # before Lightning and matplotlib are imported, because they read the environment then


from regression.cli.entry import main as main  # noqa: E402
