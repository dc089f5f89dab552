"""Give backgroundremover the very network that cleancut runs; a script for its interpreter.

    child_remover.py NETWORK.onnx PROBE.npz TARGET.pth

backgroundremover reads a state dict of U2NETP. The convolutions of the ONNX file, which have the
batch norms folded in, are put into that network in the order in which it runs them, and its batch
norms become identities. PROBE holds ``input`` (1, 3, 320, 320) and the ``output`` that the ONNX
file gives for it; prints {"difference": ..., "parameters": ...} as JSON, and writes TARGET only if
the two agree.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from typing import Any

#: Largest difference of the two answers that rounding explains.
_ROUNDING = 1e-3


def main(network: str, probe: str, target: str) -> int:
    """0 if TARGET was written."""
    warnings.simplefilter("ignore")
    numpy, onnx, torch = (importlib.import_module(name) for name in ("numpy", "onnx", "torch"))
    net: Any = importlib.import_module("backgroundremover.u2net.u2net").U2NETP(3, 1).eval()
    graph = onnx.load(network).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    given = [
        (arrays[node.input[1]], arrays[node.input[2]])
        for node in graph.node
        if node.op_type == "Conv"
    ]
    order: list[Any] = []
    modules = list(net.modules())
    convolutions = [one for one in modules if isinstance(one, torch.nn.Conv2d)]
    hooks = [
        one.register_forward_hook(lambda module, _inputs, _output: order.append(module))
        for one in convolutions
    ]
    with numpy.load(probe) as file, torch.no_grad():
        question, answer = torch.from_numpy(file["input"]), file["output"]
        net(question)
        for hook in hooks:
            hook.remove()
        if len(order) != len(given):
            raise SystemExit(f"{len(given)} convolutions for a network of {len(order)}")
        for module, (weight, bias) in zip(order, given, strict=True):
            if tuple(module.weight.shape) != weight.shape:
                raise SystemExit("the two networks differ in shape")
            module.weight.copy_(torch.from_numpy(weight.copy()))
            module.bias.copy_(torch.from_numpy(bias.copy()))
        for module in modules:
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.zero_()
                module.running_var.fill_(1 - module.eps)
                module.weight.fill_(1)
                module.bias.zero_()
        difference = float(numpy.abs(net(question)[0].numpy() - answer).max())
    parameters = sum(weight.size + bias.size for weight, bias in given)
    print(json.dumps({"difference": difference, "parameters": parameters}))
    if difference > _ROUNDING:
        raise SystemExit(f"the two networks differ by {difference:.4f}")
    torch.save(net.state_dict(), target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
