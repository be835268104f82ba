"""`python bench.py ...`: the same app as the console script `bench`."""

from drnn_bench.cli.app import main

if __name__ == "__main__":
    main()
