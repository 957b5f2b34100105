"""In what numbers a network computes, and how its images lie in memory: what suits the machine."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cilkit.config import AUTO, Config, Precision
from cilkit.errors import InputError
from cilkit.machine.devices import find_device
from cilkit.machine.processes import from_main

FORMATS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# What torch answers of a CPU; on others with bf16 nothing was measured.
QUESTIONS = {"avx512_bf16": "_is_avx512_bf16_supported", "AMX": "_is_amx_tile_supported"}
FROM = 32  # pixels of a side
TOO_FEW = "a stride of the network is longer than what it has left of an image"
WHY_LAST = f"faster for convolutions on a CPU, from {FROM} pixels on"


class Arithmetic(NamedTuple):
    """What a network computes in; `why`, where it was chosen for the machine."""

    precision: Precision = "float32"
    channels_last: bool = False
    why: str = ""

    @property
    def format(self) -> torch.dtype:
        """The number format of what is computed fast; weights are in float32."""
        return FORMATS[self.precision]

    @property
    def layout(self) -> torch.memory_format:
        """How images lie in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


PLAIN = Arithmetic()


def arithmetic_for(config: Config, backbone: nn.Module, side: int) -> Arithmetic:
    """Return what the settings ask for; in place of `auto` what suits the main process's machine.

    Images have `side` pixels. Raises `InputError` where the device has no such numbers.
    """
    device = find_device(config.device)
    mine = chosen(config, device, backbone, side)
    left_to_it = AUTO in (config.precision, config.channels_last)
    found = from_main(lambda: mine) if left_to_it else mine  # one alone may load a finished run
    if not can_compute(device, found.precision):
        raise InputError(
            f"precision fp16 needs a CUDA card, and the device is {device.type}; a run may begin "
            f"in bf16, float32 or auto"
        )
    if found.precision == "bf16" and lacks_gradients(device, backbone, side):
        raise InputError(f"precision bf16 cannot be: {TOO_FEW}; use float32, or larger images")
    return found


def chosen(config: Config, device: torch.device, backbone: nn.Module, side: int) -> Arithmetic:
    """Return the arithmetic, with a reason for what is chosen in place of `auto`."""
    precision, channels_last, reasons = config.precision, config.channels_last, []
    if precision == AUTO:
        precision, why = fastest(device)
        if precision == "bf16" and lacks_gradients(device, backbone, side):
            precision, why = "float32", f"float32 ({TOO_FEW})"
        reasons = [why]
    if channels_last == AUTO:
        channels_last = is_faster_with_channels_last(device, backbone, side)
        reasons += [f"channels last ({WHY_LAST})"] if channels_last else []
    return Arithmetic(precision, channels_last, ", ".join(reasons))


def can_compute(device: torch.device, precision: str) -> bool:
    """Tell whether a device can be trained in these numbers, fast or not."""
    return precision != "fp16" or device.type == "cuda"


def fastest(device: torch.device) -> tuple[Precision, str]:
    """Return the numbers that a device computes in fastest, and a clause that says why."""
    if device.type == "cpu":
        units = [name for name, ask in QUESTIONS.items() if getattr(torch.cpu, ask, bool)()]
        if units:
            return "bf16", f"bf16 (this processor computes in it: {' and '.join(units)})"
        return "float32", f"float32 (this processor has neither {' nor '.join(QUESTIONS)})"
    if device.type == "cuda":
        return fastest_of_card(device)
    return "float32", f"float32 (nothing else was tried on {device.type})"


def fastest_of_card(device: torch.device) -> tuple[Precision, str]:
    """Return the same for a card: fp16 where it has units for 16 bits, but none for bf16."""
    with torch.cuda.device(device):
        card = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", f"bf16 (the {card} computes in it)"
        if torch.cuda.get_device_capability() >= (7, 0):
            return "fp16", f"fp16 with scaled gradients (the {card} has no bf16)"
    return "float32", f"float32 (the {card} has no units for less)"


def is_faster_with_channels_last(device: torch.device, backbone: nn.Module, side: int) -> bool:
    """Tell whether a network is known to be faster if images lie as NHWC."""
    kinds = [type(part) for part in backbone.modules()]
    convolutional = kinds.count(nn.Conv2d) > kinds.count(nn.Linear)  # a transformer has one
    return device.type == "cpu" and convolutional and side >= FROM


def lacks_gradients(device: torch.device, backbone: nn.Module, side: int) -> bool:
    """Tell whether bf16 would leave gradients unset, at whatever the memory held before.

    So it is in torch's convolutions on a CPU (2.14.1) where a stride is longer than the map, as
    that of ResNet-18's last group is for images of 16 pixels.
    """
    parts = [part for part in backbone.modules() if isinstance(part, nn.Conv2d)]
    if device.type != "cpu" or not parts:
        return False
    found: list[bool] = []

    def look(part: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(part, nn.Conv2d)
        found.append(max(part.kernel_size) > 1 and min(inputs[0].shape[2:]) < max(part.stride))

    hooks = [part.register_forward_pre_hook(look) for part in parts]
    with torch.no_grad():
        backbone(torch.zeros(1, parts[0].in_channels, side, side))
    for hook in hooks:
        hook.remove()
    return any(found)
