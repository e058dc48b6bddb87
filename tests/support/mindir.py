"""MindIR files made byte by byte. Nothing here uses MindSpore."""

from __future__ import annotations


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(key: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return number(key << 3) + number(value)
    return number(key << 3 | 2) + number(len(value)) + value


def graph_input(name: str, shape: tuple[int, ...], kind: int) -> bytes:
    tensor = b"".join(field(1, side) for side in shape) + field(2, kind)
    return field(5, field(1, f"12_3_graph:{name}".encode()) + field(2, tensor))


def model(*inputs: bytes) -> bytes:
    weights = field(3, b"w" * 3000)
    return field(1, b"1.1") + field(2, b"MindSpore") + field(5, b"2.10.0") + field(7, weights + b"".join(inputs))
