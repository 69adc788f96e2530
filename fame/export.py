"""Write a trained model for other programs, or with new items: `python -m fame.export MODEL --torch-export --onnx --hub`.

--torch-export    MODEL/model.pt2    a graph for `torch.export.load`, with free batch and length
--onnx            MODEL/model.onnx   the same graph for onnxruntime and other engines
--hub             MODEL-hub/         a folder for the Hugging Face hub, with a card that has metadata
--items NEW.csv   MODEL-items/       a copy of MODEL that knows new items by their text
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fame.command_line import CommandParser, typed
from fame.errors import UserError, run_command


def main() -> None:
    args = parser().parse_args()
    others = args.torch_export or args.onnx or args.hub
    if not others and args.items is None:
        raise UserError("export as what? Give --torch-export, --onnx, --hub, or --items")
    if args.items is None and not args.hub and (args.out is not None or args.license is not None):
        raise UserError("--out and --license are those of --hub; give --hub, too")
    if args.items is None and args.item_id is not None:
        raise UserError(f"--item-id {args.item_id}: says how to read --items; give it, too")
    if args.items is not None and others:
        raise UserError(f"--items {args.items}: writes a model of its own; export that one afterwards")
    if args.items is not None:
        _write_with_items(args)
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


def _write_with_items(args: argparse.Namespace) -> None:
    from fame.datasets import print_to_stderr
    from fame.serving.new_items import with_new_items

    settings = {} if args.item_id is None else {"data.item_id": args.item_id}
    target = args.out or args.model.with_name(f"{args.model.resolve().name}-items")
    count = with_new_items(args.model, args.items, settings, target, print_to_stderr)
    print(f"wrote   {target}: the model with {count:,} new items, placed by their text")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog=typed(), description="Write a trained model for other programs.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder that a training or a sweep exported")
    parser.add_argument("--torch-export", action="store_true", help="MODEL/model.pt2, a graph for torch.export.load")
    parser.add_argument("--onnx", action="store_true", help="MODEL/model.onnx, a graph for onnxruntime")
    parser.add_argument("--hub", action="store_true", help="a folder for the Hugging Face hub")
    parser.add_argument(
        "--items", metavar="FILE", help="a copy of the model that knows these items, too, by their text"
    )
    parser.add_argument("--item-id", metavar="NAME", help="id column of --items (default: guessed)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of --hub or --items (default: MODEL-hub, MODEL-items)"
    )
    parser.add_argument(
        "--license", metavar="NAME", help="licence of the weights, as the hub names it (default: other)"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
