"""python -m mlp_jit demo | info"""

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlp_jit", description="Multilayer perceptrons for the CPU.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="train on handwritten digits and time each engine")
    commands.add_parser("info", help="show the CPU, the threads and the cache, and measure the arithmetic rate")
    if parser.parse_args().command == "demo":
        from .demo import demo

        demo()
    else:
        from .info import info

        info()


if __name__ == "__main__":
    main()
