"""Vector: operations that Numba has no way to express, as LLVM instructions on vectors of 16.

LLVM compiles them for whatever processor there is. Only the product of bytes names a specific
instruction, VNNI, if the processor has it: it multiplies 64 pairs of bytes and adds up the products
in groups of four, exactly.
"""

from typing import Any, cast

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 16
GROUPS = 4
BLOCK = WIDTH * GROUPS
"""The number of outputs in a block of weights."""
SCAN = 128
"""How many numbers `largest` takes the maximum of."""

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_INTS, _FLOATS = ir.VectorType(_I32, WIDTH), ir.VectorType(_F32, WIDTH)
_BYTES = ir.VectorType(ir.IntType(8), 4 * WIDTH)
_WIDE = ir.VectorType(_I32, 4 * WIDTH)
_FEATURES = llvmlite.binding.get_host_cpu_features()

VNNI = bool(_FEATURES.get("avx512vnni"))
"""Whether this processor has an instruction for products of bytes."""

instruction = cast(Any, intrinsic)  # kernels call it without the context in its signature


def _at(builder: ir.IRBuilder, pointer: ir.Value, offset: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())


def _spread(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Return a vector with `value` in all elements."""
    undefined = ir.Constant(_INTS, ir.Undefined)
    one = builder.insert_element(undefined, value, _I32(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(_INTS, [0] * WIDTH))


def _dot_bytes(
    builder: ir.IRBuilder, total: ir.Value, x: ir.Value, w: ir.Value, vnni: bool
) -> ir.Value:
    """Add to each element of `total` 4 products of an unsigned byte of x and a signed one of w."""
    if vnni:
        kind = ir.FunctionType(_INTS, [_INTS] * 3)
        name = "llvm.x86.avx512.vpdpbusd.512"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, kind, name), [total, x, w]
        )
    left = builder.zext(builder.bitcast(x, _BYTES), _WIDE)
    products = builder.mul(left, builder.sext(builder.bitcast(w, _BYTES), _WIDE))
    for first in range(4):
        places = ir.Constant(_INTS, [4 * lane + first for lane in range(WIDTH)])
        part = builder.shuffle_vector(products, ir.Constant(_WIDE, ir.Undefined), places)
        total = builder.add(total, part)
    return total


def dot_rows(rows: int, vnni: bool = VNNI) -> Any:
    """Make the function that multiplies `rows` rows of bytes by one block of weights.

    Its arguments are a pointer to x (uint8), the row stride of x in units of 4 bytes, a pointer to
    the block (I/4, BLOCK) of int32, I/4, pointers to the corrections (int32), scales and biases
    (fp32) of the block's outputs (BLOCK,), a pointer to the result (fp32) and the row stride of the
    result. It computes (sum - correction) * scale + bias.
    """

    @instruction
    def dot(  # type: ignore[no-untyped-def]
        context, x, x_stride, w, length, correction, scale, bias, out, out_stride
    ):
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            x, x_stride, w, length, correction, scale, bias, out, out_stride = arguments
            zero = ir.Constant(_INTS, [0] * WIDTH)
            x = builder.bitcast(x, _I32.as_pointer())
            totals = [
                [cgutils.alloca_once_value(builder, zero) for _ in range(GROUPS)]
                for _ in range(rows)
            ]
            with cgutils.for_range(builder, length) as loop:
                start = builder.mul(loop.index, _I64(BLOCK))
                weights = [
                    builder.load(
                        _at(builder, w, builder.add(start, _I64(WIDTH * group)), _INTS), align=4
                    )
                    for group in range(GROUPS)
                ]
                for row in range(rows):
                    place = builder.add(builder.mul(x_stride, _I64(row)), loop.index)
                    given = _spread(builder, builder.load(builder.gep(x, [place])))
                    for total, weight in zip(totals[row], weights, strict=True):
                        added = _dot_bytes(builder, builder.load(total), given, weight, vnni)
                        builder.store(added, total)
            for group in range(GROUPS):
                offset = _I64(WIDTH * group)
                less = builder.load(_at(builder, correction, offset, _INTS), align=4)
                factor = builder.load(_at(builder, scale, offset, _FLOATS), align=4)
                more = builder.load(_at(builder, bias, offset, _FLOATS), align=4)
                for row in range(rows):
                    exact = builder.sub(builder.load(totals[row][group]), less)
                    result = builder.fmul(builder.sitofp(exact, _FLOATS), factor)
                    result = builder.fadd(result, more)
                    place = builder.add(builder.mul(out_stride, _I64(row)), offset)
                    builder.store(result, _at(builder, out, place, _FLOATS), align=4)
            return context.get_dummy_value()

        ints, floats = types.CPointer(types.int32), types.CPointer(types.float32)
        n, given = types.int64, types.CPointer(types.uint8)
        return types.void(given, n, ints, n, ints, floats, floats, floats, n), generate

    return dot


@instruction
def pointer(context, array, offset):  # type: ignore[no-untyped-def]
    """Return a pointer to element number `offset` of a contiguous `array`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.gep(held.data, [arguments[1]])

    return types.CPointer(array.dtype)(array, types.int64), generate


@instruction
def largest(context, start):  # type: ignore[no-untyped-def]
    """Return the maximum of the SCAN fp32 numbers that start at pointer `start`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def larger(one: ir.Value, other: ir.Value) -> ir.Value:
            return builder.select(builder.fcmp_ordered(">", one, other), one, other)

        parts = [
            builder.load(_at(builder, arguments[0], _I64(first), _FLOATS), align=4)
            for first in range(0, SCAN, WIDTH)
        ]
        while len(parts) > 1:
            parts = [larger(*parts[i : i + 2]) for i in range(0, len(parts), 2)]
        best = parts[0]
        for distance in (8, 4, 2, 1):
            turn = ir.Constant(_INTS, [(i + distance) % WIDTH for i in range(WIDTH)])
            best = larger(
                best, builder.shuffle_vector(best, ir.Constant(_FLOATS, ir.Undefined), turn)
            )
        return builder.extract_element(best, _I32(0))

    return types.float32(types.CPointer(types.float32)), generate


@instruction
def nearest(context, x):  # type: ignore[no-untyped-def]
    """Round `x`, fp32, to a whole number; halves are rounded to even."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(_F32, [_F32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.rint.f32")
        return builder.call(function, arguments)

    return types.float32(types.float32), generate


@instruction
def power_of_two(context, n):  # type: ignore[no-untyped-def]
    """Return 2 ** n for a whole fp32 `n` between -126 and 127, by setting its bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        exponent = builder.add(builder.fptosi(arguments[0], _I32), _I32(127))
        return builder.bitcast(builder.shl(exponent, _I32(23)), _F32)

    return types.float32(types.float32), generate


@instruction
def greater(context, x, y):  # type: ignore[no-untyped-def]
    """Return the greater of two fp32 numbers, with one instruction."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return types.float32(types.float32, types.float32), generate


@instruction
def widen(context, x):  # type: ignore[no-untyped-def]
    """Return the fp32 number whose upper bits are the bf16 bits `x` (uint16)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        bits = builder.shl(builder.zext(arguments[0], _I32), _I32(16))
        return builder.bitcast(bits, _F32)

    return types.float32(types.uint16), generate


@instruction
def to_byte(context, x):  # type: ignore[no-untyped-def]
    """Return the integer part of a positive fp32 `x` below 256, as uint8."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.trunc(builder.fptosi(arguments[0], _I32), ir.IntType(8))

    return types.uint8(types.float32), generate
