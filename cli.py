"""The command line from a checkout: ``python cli.py solve bert-large --hw ring36``."""

from partition.commands.main import main, run

__all__ = ["main", "run"]

if __name__ == "__main__":
    run()
