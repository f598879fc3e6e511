"""The command. May import every other wing, and the package's public names.

- ``entry``: the one entry, and how it ends.
- ``commands``: fit, validate, test and predict, as Lightning's command line has them.
- ``plot_command``: plot, which needs no Trainer.
- ``export_command``: export, which needs no Trainer.
- ``arguments``: the words of the command line.
- ``short_options``: a file and short options, as the long options that they stand for.
- ``help_page``: the help of one screen.
- ``checks``: what may not be asked of the Trainer.
- ``parser_internals``: the private names of jsonargparse, and of Lightning's command line.
- ``trusted_classes``: what a configuration may name.
- ``messages``: what went wrong, in one line.
"""

from regression.runs.surroundings import clean_environment

clean_environment()  # before Lightning and matplotlib are imported, because they read the environment then


from regression.cli.entry import main as main  # noqa: E402
