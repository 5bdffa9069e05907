"""python -m mlp_jit demo | info | study | warmup"""

import argparse

from .engines import DEFAULT, ENGINES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlp_jit", description="Multilayer perceptrons for the CPU.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="train on handwritten digits and time each engine")
    commands.add_parser("info", help="show the CPU, the threads and the cache, and measure the arithmetic rate")
    study = commands.add_parser("study", help="write the playground that shows every z, a and δ, one HTML file")
    study.add_argument("--out", required=True, metavar="FILE", help="the file to write; any browser opens it")
    warmup = commands.add_parser("warmup", help="compile ahead what fit, evaluation and prediction need")
    warmup.add_argument("--dtype", nargs="+", choices=("float32", "float64"), default=["float32"])
    warmup.add_argument("--engine", nargs="+", choices=ENGINES, default=[DEFAULT])
    arguments = parser.parse_args()
    if arguments.command == "demo":
        from .demo import demo

        demo()
    elif arguments.command == "info":
        from .info import info

        info()
    elif arguments.command == "warmup":
        from .warmup import warm_up

        try:
            warm_up(arguments.dtype, arguments.engine)
        except (OSError, NotImplementedError) as error:
            warmup.error(str(error))
    else:
        from .study.page import write

        try:
            size = write(arguments.out)
        except OSError as error:
            study.error(f"--out: {error}")
        print(f"{arguments.out}: {size / 1e6:.2f} MB, open it in a browser")


if __name__ == "__main__":
    main()
