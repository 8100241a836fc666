"""``python -m partition solve bert-large --hw ring36``."""

from partition.commands.main import run

if __name__ == "__main__":
    run()
