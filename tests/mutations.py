"""Damage to files: bytes, JSON values, lines of TOML and CSV, fields of ONNX messages, arrays of NPZ."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Rng = np.random.Generator

TEXTS = (
    "", " ", "\x00", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "two\nlines\r", "\u202egnp.exe", "\u2028", "\x7f",
    "\x9b31m", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "../../etc/passwd", "/etc/passwd",
    "C:\\x", "a" * 5000, "\U0001f600", "e\u0301", "0", "NaN", "inf", "-1", "1_000", "a+b*2", "(" * 300, "{}", "$title",
    "%s%n", "link", "a/b/c.d", "Input", "Constant", "name", "seconds", "MatMul", "\u0660",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 63, 64, 65, 255, 4096, 4097, 2**31 - 1, 2**31, 2**32, 10**12, 10**18, 2**63 - 1, 2**63, 2**64,
    -(2**63), 0.5, -0.0, 1e-320, 5e-324, 1e-30, 1e30, 1e31, 1e300, 1.7e308, -1e9, 1e18,
)  # fmt: skip
RAW = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "9" * 5000, '"\\ud800"', "[" * 2000 + "]" * 2000)
"""JSON that Python's encoder would not write."""
INTS = tuple(n for n in NUMBERS if isinstance(n, int))


def pick(rng: Rng, among: Sequence[Any]) -> Any:
    """One of them."""
    return among[int(rng.integers(len(among)))]


def nasty(rng: Rng) -> Any:
    """A value that JSON can have."""
    kind = int(rng.integers(8))
    if kind < 3:
        return pick(rng, NUMBERS)
    if kind < 6:
        return pick(rng, TEXTS)
    return copy.deepcopy(pick(rng, (True, False, None, [], {}, [[]], [1], {"a": 1}, ["a", "a"], [None] * 50)))


# --- bytes --------------------------------------------------------------------------------------------------------


def in_bytes(content: bytes, rng: Rng, others: Sequence[bytes] = ()) -> bytes:
    """One of: a flipped bit, a changed byte, a cut, a piece removed, repeated, moved, or taken from another file."""
    if not content:
        return bytes(rng.integers(0, 256, 8, dtype=np.uint8))
    data, n = bytearray(content), len(content)
    at, length = int(rng.integers(n)), 1 + int(rng.integers(min(n, 64)))
    match int(rng.integers(8)):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            data[at] = int(pick(rng, (0, 1, 127, 128, 255, 34, 44, 45, 46, 58, 91, 93, 123, 125)))
        case 2:
            del data[at:]
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 20))
        case 5:
            begin = int(rng.integers(n))
            data[at:at] = data[begin : begin + length]
        case 6:
            other = pick(rng, others) if others else content
            begin = int(rng.integers(max(1, len(other))))
            data[at : at + length] = other[begin : begin + length]
        case _:
            data[at : at + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
    return bytes(data)


# --- JSON ---------------------------------------------------------------------------------------------------------


def in_json(text: str, rng: Rng) -> str:
    """One value of a JSON text replaced, removed, repeated, renamed (also wherever it stands), moved or nested."""
    data = json.loads(text)
    places = _places(data)
    if not places:
        return text
    holder, key = pick(rng, places)
    raw = None
    match int(rng.integers(13)):
        case 0 | 1:
            holder[key] = nasty(rng)
        case 2:
            holder[key] = pick(rng, NUMBERS if isinstance(holder[key], int | float) else TEXTS)
        case 9 | 10:
            words = sorted({v for h, k in places for v in (h[k], k) if isinstance(v, str)})
            return text.replace(json.dumps(pick(rng, words)), json.dumps(pick(rng, TEXTS))) if words else text
        case 11 | 12:
            numbers = [(h, k) for h, k in places if isinstance(h[k], int | float) and not isinstance(h[k], bool)]
            if numbers:
                holder, key = pick(rng, numbers)
                holder[key] = pick(rng, NUMBERS) if rng.random() < 0.5 else holder[key] * pick(rng, (2, 0.5, 1e-9, 1e9))
        case 3:
            holder[key] = raw = "@raw@"
        case 4:
            del holder[key]
        case 5:
            other, k = pick(rng, places)
            holder[key] = copy.deepcopy(other[k])
        case 6 if isinstance(holder, list):
            holder.insert(int(rng.integers(len(holder) + 1)), copy.deepcopy(holder[key]))
        case 6:
            holder[str(pick(rng, TEXTS))] = holder.pop(key)
        case 7 if isinstance(holder[key], bool):
            holder[key] = not holder[key]
        case _:
            for _ in range(int(pick(rng, (1, 3, 200)))):
                holder[key] = [holder[key]]
    written = json.dumps(data)
    return written.replace(json.dumps(raw), str(pick(rng, RAW)), 1) if raw else written


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Every value, as the object or list that holds it and its key there."""
    places: list[tuple[Any, Any]] = []
    stack = [data]
    while stack:
        holder = stack.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            places += [(holder, key) for key in keys]
            stack += [holder[key] for key in keys]
    return places


# --- lines --------------------------------------------------------------------------------------------------------


def in_toml(text: str, rng: Rng) -> str:
    """One line of a TOML text with another value or key, removed, repeated or moved."""
    odd = ("nan", "inf", "-inf", "1e400", "9" * 5000, "[]", "{}", "true", "1979-05-27", "0x" + "f" * 90, '"""', "'a'",
           "[" * 500 + "]" * 500, '["a", 1]', "a.b", '"\\u0000"')  # fmt: skip
    return _in_lines(text, rng, " = ", odd)


def in_csv(text: str, rng: Rng) -> str:
    """One line of a CSV text with another cell, removed, repeated or moved."""
    return _in_lines(text, rng, ",", ("nan", "inf", "1e400", '"', '"a\nb"', "9" * 5000, "\x00", ",,,", "a" * 140_000))


def _in_lines(text: str, rng: Rng, between: str, odd: Sequence[str]) -> str:
    lines = text.split("\n")
    i = int(rng.integers(len(lines)))
    kind = int(rng.integers(7))
    if kind < 4:
        cells = lines[i].split(between)
        value = pick(rng, odd) if rng.random() < 0.5 else nasty(rng)
        written = value if value in odd else json.dumps(value) if between != "," else str(value)
        cells[int(rng.integers(len(cells)))] = str(written)
        lines[i] = between.join(cells)
    elif kind == 4:
        del lines[i]
    elif kind == 5:
        lines.insert(int(rng.integers(len(lines))), lines[i])
    else:
        lines.append(lines.pop(i))
    return "\n".join(lines)


# --- protobuf -----------------------------------------------------------------------------------------------------


def in_message(message: Any, rng: Rng) -> None:
    """One field of a protobuf message or of one inside it changed, in place: cleared, repeated, swapped, filled."""
    inside = [message]
    for outer in inside:  # grows while it is walked
        for field, value in outer.ListFields():
            if field.message_type is not None:
                inside += list(value) if _repeated(field) else [value]
        if len(inside) > 5000:
            break
    if rng.random() < 0.15:
        _rename(inside, rng)
        return
    chosen = pick(rng, inside)
    given = [field for field, _ in chosen.ListFields()]
    fields = given if given and rng.random() < 0.8 else list(chosen.DESCRIPTOR.fields)
    if fields:
        _in_field(chosen, pick(rng, fields), rng, inside)


def _rename(inside: list[Any], rng: Rng) -> None:
    """One text replaced wherever it stands, so that names still fit together."""
    places = [(m, f) for m in inside for f, _ in m.ListFields() if f.type == f.TYPE_STRING]
    texts = sorted({t for m, f in places for t in (getattr(m, f.name) if _repeated(f) else [getattr(m, f.name)])})
    if not texts:
        return
    old, new = pick(rng, texts), pick(rng, TEXTS)
    for m, f in places:
        if _repeated(f):
            values = [new if text == old else text for text in getattr(m, f.name)]
            m.ClearField(f.name)
            getattr(m, f.name).extend(values)
        elif getattr(m, f.name) == old:
            setattr(m, f.name, new)


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _in_field(message: Any, field: Any, rng: Rng, inside: list[Any]) -> None:
    name, repeated = field.name, _repeated(field)
    alike = [m for m in inside if field.message_type is not None and m.DESCRIPTOR is field.message_type]
    if rng.random() < 0.15:
        message.ClearField(name)
    elif repeated:
        values = getattr(message, name)
        match int(rng.integers(4)):
            case 0 if len(values):
                del values[int(rng.integers(len(values)))]
            case 1 if len(values):
                again = copy.deepcopy(pick(rng, values))
                for _ in range(int(pick(rng, (1, 1, 3, 70)))):
                    values.append(again)
            case 2 if alike:
                values.append(copy.deepcopy(pick(rng, alike)))
            case _ if field.message_type is not None:
                values.add()
            case _:
                value = _scalar(field, rng)
                if len(values) and rng.random() < 0.7:
                    values[int(rng.integers(len(values)))] = value
                else:
                    values.extend([value] * int(pick(rng, (1, 2, 70))))
    elif field.message_type is not None:
        if alike:
            getattr(message, name).CopyFrom(copy.deepcopy(pick(rng, alike)))
        else:
            getattr(message, name).SetInParent()
    else:
        setattr(message, name, _scalar(field, rng))


def _scalar(field: Any, rng: Rng) -> Any:
    if field.type == field.TYPE_STRING:
        return pick(rng, TEXTS)
    if field.type == field.TYPE_BYTES:
        return rng.integers(0, 256, int(pick(rng, (0, 1, 8, 400))), dtype=np.uint8).tobytes()
    if field.type == field.TYPE_ENUM:
        return pick(rng, [value.number for value in field.enum_type.values])
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return float(pick(rng, (0.0, -1.0, 1e30, float("nan"), float("inf"), 1e-40)))
    bits = 31 if field.type in (field.TYPE_INT32, field.TYPE_UINT32) else 63
    least = 0 if field.type in (field.TYPE_UINT32, field.TYPE_UINT64) else -(2**bits)
    return int(pick(rng, [n for n in INTS if least <= n < 2**bits]))


# --- arrays -------------------------------------------------------------------------------------------------------


def in_arrays(arrays: Mapping[str, np.ndarray], rng: Rng) -> dict[str, np.ndarray]:
    """One array with other values, another shape, type or name, removed, or a new one."""
    changed = {name: np.array(value) for name, value in arrays.items()}
    name = pick(rng, list(changed))
    value = changed[name]
    match int(rng.integers(7)):
        case 0 | 1 if value.size and value.dtype.kind in "fiu":
            flat = value.astype(np.float64).ravel()
            flat[int(rng.integers(len(flat)))] = pick(rng, (np.nan, np.inf, -np.inf, 1e38, 1e300, -1.0, 0.0))
            with np.errstate(all="ignore"):
                changed[name] = flat.reshape(value.shape).astype(value.dtype)
        case 2:
            changed[name] = value.reshape(-1)[: int(rng.integers(value.size + 1))]
        case 3:
            with np.errstate(all="ignore"):
                kinds = ("U9", np.complex64, np.float16, np.int8, bool, np.float64, "S3")
                changed[name] = np.zeros(value.shape, dtype=pick(rng, kinds))
        case 4:
            del changed[name]
        case 5:
            changed[str(pick(rng, ("parameter W9", "parameter b0", "W0", "state", "../evil", "x\n")))] = changed.pop(
                name
            )
        case _:
            changed[name] = np.zeros(pick(rng, ((), (0,), (2, 0), (1, 1, 1), (3,))))
    return changed


def in_archive(content: bytes, rng: Rng) -> bytes:
    """One member of a zip with changed bytes, well packed again: the damage lies in its header or its data."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(buffer, "w") as written:
        names = archive.namelist()
        hit = pick(rng, names)
        for name in names:
            member = archive.read(name)
            if name == hit:
                head = member[:128]
                member = in_bytes(head, rng) + member[128:] if rng.random() < 0.8 else in_bytes(member, rng)
            written.writestr(name, member)
    return buffer.getvalue()


def several(change: Callable[[Any, Rng], Any], value: Any, rng: Rng) -> Any:
    """The change applied once or a few times."""
    for _ in range(1 + int(rng.geometric(0.6) - 1)):
        value = change(value, rng)
    return value
