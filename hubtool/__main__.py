"""`python -m hubtool` is the command line."""

from hubtool.cli import main

if __name__ == "__main__":
    main()
