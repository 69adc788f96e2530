"""What a trial's process does not import, which is most of the time that its start takes."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import torch
from tuning.trial import inline, torch_trainer
from tuning.trial.eager import without_compiler

def train(optimizer):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = optimizer(model.parameters(), lr=0.1, weight_decay=0.1, fused=True)
    for _ in range(3):
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    optimizer.load_state_dict(optimizer.state_dict())
    return [parameter.tolist() for parameter in model.parameters()]

for kind in (torch.optim.Adam, torch.optim.AdamW):
    without_compiler()
    without_compiler()
    print(train(kind))
print(sorted({name.split(".")[0] for name in sys.modules} & {"mlflow", "optuna", "transformers", "sympy"}))
print("torch._dynamo" in sys.modules)
"""
PLAIN = CODE.replace("    without_compiler()\n", "")


def lines(code: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_trial_imports_neither_the_sweep_nor_the_compiler_and_trains_the_same() -> None:
    *values, unwanted, compiler = lines(CODE)
    assert (unwanted, compiler) == ("[]", "False")
    *plain, _, compiler = lines(PLAIN)
    assert values == plain and compiler == "True"
