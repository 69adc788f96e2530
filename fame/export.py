"""Write a trained model for other programs: `python -m fame.export MODEL --torch-export --onnx --hub`.

--torch-export    MODEL/model.pt2    a graph for `torch.export.load`, with free batch and length
--onnx            MODEL/model.onnx   the same graph for onnxruntime and other engines
--hub             MODEL-hub/         a folder for the Hugging Face hub, with a card that has metadata
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser, typed
from fame.errors import UserError, run_command


def main() -> None:
    args = parser().parse_args()
    if not (args.torch_export or args.onnx or args.hub):
        raise UserError("export as what? Give --torch-export, --onnx, --hub, or several of them")
    if not args.hub and (args.out is not None or args.license is not None):
        raise UserError("--out and --license are those of --hub; give --hub, too")
    if args.torch_export or args.onnx:
        from fame.serving import graph  # here, so that --help need not wait

        for wanted, write in ((args.torch_export, graph.export_torch), (args.onnx, graph.export_onnx)):
            if wanted:
                path = write(args.model)
                size = f"{path.stat().st_size / 1e6:.1f} MB"
                print(f"wrote   {path} ({size}): recommends the same {graph.TOP} best items as the model")
    if args.hub:
        from fame.serving.hub import export_hub

        target = args.out or args.model.with_name(f"{args.model.resolve().name}-hub")
        export_hub(args.model, target, args.license or "other")
        print(f"wrote   {target}: README.md is the card; push it: hf upload USER/NAME {target}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description="Write a trained model for other programs.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder that a training or a sweep exported")
    parser.add_argument("--torch-export", action="store_true", help="MODEL/model.pt2, a graph for torch.export.load")
    parser.add_argument("--onnx", action="store_true", help="MODEL/model.onnx, a graph for onnxruntime")
    parser.add_argument("--hub", action="store_true", help="a folder for the Hugging Face hub")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of --hub (default: MODEL-hub)")
    parser.add_argument(
        "--license", metavar="NAME", help="licence of the weights, as the hub names it (default: other)"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
