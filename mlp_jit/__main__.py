"""python -m mlp_jit demo"""

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlp_jit", description="Multilayer perceptrons for the CPU.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="train on handwritten digits and time each engine")
    parser.parse_args()

    from .demo import demo

    demo()


if __name__ == "__main__":
    main()
