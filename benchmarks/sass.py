"""Machine code as text -> what the report says: nvdisasm's listing and the log of `ptxas -v`."""

import re
from dataclasses import dataclass

_FUNCTION = re.compile(r"^\.text\.(\S+):\s*$")
_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
_ENTRY = re.compile(r"Compiling entry function '([^']+)' for '[^']+'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")

# opcodes without their modifiers; a U in front is the same for a whole warp
_LOADS = re.compile(r"LDG|LD|LDGSTS")  # LD: through a generic address, which is a global one unless shown otherwise
_STORES = re.compile(r"STG|ST")
_BULK_LOADS, _BULK_STORES = re.compile(r"UTMALDG"), re.compile(r"UTMASTG|UTMAREDG")
_KINDS = {
    "local_accesses": re.compile(r"LDL|STL"),
    "barriers": re.compile(r"BAR|SYNCS|UCGABAR_\w+"),
    "tensor_core": re.compile(r"U?[A-Z]+MMA"),
    "fp64": re.compile(r"D(ADD|MUL|FMA|SETP|MNMX)"),
    "fp32": re.compile(r"F(ADD|MUL|FMA|SETP|SET|SEL|MNMX|CHK|RND)\d?|MUFU"),
    "integer": re.compile(
        r"U?(IADD|IADD3|IMAD|IMNMX|ISETP|IABS|LEA|LOP3|SHF|SHL|SHR|SEL|PRMT|POPC|FLO|BMSK|SGXT)|V(IADD|IMNMX|IADDMNMX)3?"
    ),
    "byte_dots": re.compile(r"U?IDP(4A|2A)?"),  # dp4a and dp2a: see docs/gpu-without-a-gpu.md
    "branch": re.compile(r"BRA|BRX|BRXU|JMP|JMX|JMXU|CALL|RET"),
}
_BYTES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16, "256": 32}
BULK_BYTES = 16  # a bulk copy moves multiples of 16 bytes, however many


@dataclass
class Mix:
    """Instructions of one kernel, NOPs left out; a width is that of the widest global access, in bytes, 0 for none."""

    instructions: int = 0
    global_loads: int = 0
    global_stores: int = 0
    load_width: int = 0
    store_width: int = 0
    local_accesses: int = 0
    barriers: int = 0
    tensor_core: int = 0
    fp64: int = 0
    fp32: int = 0
    integer: int = 0
    byte_dots: int = 0
    branch: int = 0


@dataclass
class Resources:
    """What ptxas says of one kernel; `shared_bytes` without what a launch adds and without what the system keeps."""

    registers: int
    spill_bytes: int
    stack_bytes: int
    shared_bytes: int


def parse_sass(text: str) -> dict[str, Mix]:
    """nvdisasm's listing -> the instructions of each function, by its mangled name."""
    functions: dict[str, Mix] = {}
    mix = None
    for line in text.splitlines():
        if start := _FUNCTION.match(line):
            mix = functions.setdefault(start.group(1), Mix())
        elif mix is not None and (found := _INSTRUCTION.match(line)):
            _count(mix, found.group(1))
    return functions


def _count(mix: Mix, instruction: str) -> None:
    opcode, *modifiers = instruction.split(".")
    if opcode == "NOP":
        return
    mix.instructions += 1
    bulk = 0
    if opcode == "UBLKCP":  # .S.G: to shared memory from global
        bulk = 1 if modifiers[:2] == ["S", "G"] else -1
    width = next((_BYTES[m] for m in modifiers if m in _BYTES), 4)
    if _LOADS.fullmatch(opcode) or _BULK_LOADS.fullmatch(opcode) or bulk > 0:
        mix.global_loads += 1
        mix.load_width = max(mix.load_width, width if _LOADS.fullmatch(opcode) else BULK_BYTES)
    elif _STORES.fullmatch(opcode) or _BULK_STORES.fullmatch(opcode) or bulk < 0:
        mix.global_stores += 1
        mix.store_width = max(mix.store_width, width if _STORES.fullmatch(opcode) else BULK_BYTES)
    elif opcode == "IMAD" and "MOV" in modifiers:
        return  # a move
    elif any(m in ("F64", "RCP64H", "RSQ64H") for m in modifiers):  # conversions, first guesses
        mix.fp64 += 1
    else:
        for kind, pattern in _KINDS.items():
            if pattern.fullmatch(opcode):
                setattr(mix, kind, getattr(mix, kind) + 1)
                return


def parse_ptxas(log: str) -> dict[str, Resources]:
    """The log of `ptxas -v` -> the resources of each kernel by its mangled name.

    Functions that a kernel calls count towards it. Raises ValueError where the log holds no frame or no register count.
    """
    pieces = _ENTRY.split(log)
    kernels = {}
    for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
        frames = [tuple(map(int, frame)) for frame in _FRAME.findall(text)]
        registers = re.search(r"Used (\d+) registers", text)
        if not frames or registers is None:
            raise ValueError(f"log of ptxas: expected a stack frame and registers of {name}, got {text!r}")
        shared = re.search(r"(\d+) bytes smem", text)
        kernels[name] = Resources(
            registers=int(registers.group(1)),
            spill_bytes=sum(stores + loads for _, stores, loads in frames),
            stack_bytes=sum(stack for stack, _, _ in frames),
            shared_bytes=int(shared.group(1)) if shared else 0,
        )
    return kernels
