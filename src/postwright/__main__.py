"""`python -m postwright`: the same as the `postwright` command, for an environment whose scripts are not on the path."""

from postwright.control.cli.main import main

if __name__ == "__main__":
    main()
