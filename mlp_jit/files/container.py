"""A file in the safetensors layout (https://huggingface.co/docs/safetensors), read strictly and written whole or not.

    8 bytes    the length of the header, little-endian
    header     JSON: for each array its dtype, shape and place, and "__metadata__", texts by name; spaces fill it up
    arrays     one after the other, little-endian, in C order

Two of the texts are ours: "mlp_jit" says in JSON what the arrays are, and "sha256" is the digest of the whole file with
zeros in its own place. Reading executes nothing, and takes no more memory than a few times the file's length.
"""

import hashlib
import json
import math
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

MOST_HEADER = 100_000_000  # bytes; the most that the safetensors library reads
WORD = 8  # bytes of the header's length; arrays start at multiples of it
METADATA, CONTENT, DIGEST = "__metadata__", "mlp_jit", "sha256"
NO_DIGEST = "0" * 64
BEGINNING = f'{{"{METADATA}":{{"{DIGEST}":"'.encode()  # of the header: so nothing is read before its digest is known
DTYPES = {
    "F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8", "U32": "<u4",
    "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
CODES = {np.dtype(name): code for code, name in DTYPES.items()}


def can_hold(array: np.ndarray) -> bool:
    """Whether there is a dtype for such an array."""
    return array.dtype.newbyteorder("<") in CODES


# --------------------------------------------------------------------------------------- writing


def write(path: str | os.PathLike, content: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `content`, which JSON can say, and arrays of the dtypes above.

    The file appears at once, when all of it is on the disk: until then there is the old one, or none. It is a new file,
    with the permissions that new files have; where the path is a link, what it leads to is replaced. Raises OSError.
    """
    # Copies: another thread may train on, between the digest and the writing.
    little = {name: np.array(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()}
    parts = [array.reshape(-1).view(np.uint8).data for array in little.values()]
    head = _header(content, little)
    digest = hashlib.sha256(head)
    for part in parts:
        digest.update(part)
    head = head.replace(NO_DIGEST.encode(), digest.hexdigest().encode(), 1)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: expected a file or nothing there, got another kind")
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(head)
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync(target.parent)


def _header(content: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The length and the header, the digest still to come."""
    entries: dict[str, Any] = {METADATA: {DIGEST: NO_DIGEST, CONTENT: json.dumps(content, allow_nan=False)}}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        entries[name] = {"dtype": CODES[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % WORD)
    if len(text) > MOST_HEADER:
        raise ValueError(f"expected a description of at most {MOST_HEADER} bytes, got {len(text)}")
    return len(text).to_bytes(WORD, "little") + text


def _sync(folder: Path) -> None:
    """Let the disk know the file's name, too, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --------------------------------------------------------------------------------------- reading


def read(path: str | os.PathLike) -> tuple[Any, dict[str, np.ndarray]]:
    """The content and the arrays of a file that `write` has written.

    Raises ValueError that says what is wrong with any other file, and OSError where there is none that can be read.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path}: expected a file, got {'a folder' if os.path.isdir(path) else 'a device or a pipe'}")
    whole = Path(path).read_bytes()
    try:
        return _parsed(whole)
    except RecursionError:
        raise ValueError(f"{path}: expected a model that was saved, got JSON that is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"{path}: expected a model that was saved, got {error}") from None


def _parsed(whole: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    if len(whole) < WORD:
        raise ValueError(f"a file of {len(whole)} bytes")
    start = WORD + int.from_bytes(whole[:WORD], "little")
    if start > len(whole):
        pickled = " (a pickle?)" if whole[:1] == b"\x80" else ""
        raise ValueError(
            f"a header of {start - WORD} bytes in a file of {len(whole)}: cut, or of another kind{pickled}"
        )
    if start - WORD > MOST_HEADER:
        raise ValueError(f"a header of {start - WORD} bytes, where {MOST_HEADER} are the most")
    header, place = whole[WORD:start], len(BEGINNING)
    if not header.startswith(BEGINNING):
        raise ValueError("a header that does not begin with a digest: a file of another program")
    said, rest = header[place : place + len(NO_DIGEST)], header[place + len(NO_DIGEST) :]
    digest = hashlib.sha256(whole[:WORD] + BEGINNING + NO_DIGEST.encode() + rest)
    digest.update(memoryview(whole)[start:])
    if digest.hexdigest().encode() != said:
        raise ValueError("another digest than it says: the file is damaged")
    entries = parse(header)
    texts = entries.pop(METADATA)
    if not isinstance(texts.get(CONTENT), str):
        raise ValueError("no description of a model: a file of another program")
    return parse(texts[CONTENT]), _arrays(entries, memoryview(whole)[start:])


def parse(text: str | bytes) -> Any:
    """What JSON says, which may name nothing twice and has numbers only. Raises ValueError."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("JSON that says something twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"JSON with {text:.20} for a number")
    return number


def _no_number(text: str) -> None:
    raise ValueError(f"JSON with {text} for a number")


def _arrays(entries: Mapping[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    """Copies of the arrays, which have to fill `data` without a gap."""
    found, ends = {}, {}
    for name, entry in entries.items():
        dtype, shape, begin, end = _entry(name, entry)
        if end > len(data) or math.prod(shape) * dtype.itemsize != end - begin:
            raise ValueError(f"an array {name!r} of {list(shape)} {dtype} in bytes {begin} to {end} of {len(data)}")
        if dtype.kind == "b" and bytes(data[begin:end]).strip(b"\0\1"):
            raise ValueError(f"an array {name!r} with truths that are neither 0 nor 1")
        ends[begin, end] = name
        found[name] = np.frombuffer(data[begin:end], dtype).reshape(shape).astype(dtype.newbyteorder("="))
    last = 0
    for begin, end in sorted(ends):
        if begin != last:
            raise ValueError(f"an array {ends[begin, end]!r} that starts at byte {begin} instead of {last}")
        last = end
    if last != len(data) or len([1 for begin, end in ends if begin < end]) < sum(a.size > 0 for a in found.values()):
        raise ValueError(f"arrays that take {last} bytes of {len(data)}, or share them")
    return found


def _entry(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"an entry {name!r} that describes no array")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise ValueError(f"an array {name!r} of dtype {code!r}")
    if not _are_sizes(shape) or len(shape) > 32 or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"an array {name!r} with shape {shape!r} in bytes {offsets!r}")
    begin, end = offsets
    if begin > end:
        raise ValueError(f"an array {name!r} in bytes {begin} to {end}")
    return np.dtype(DTYPES[code]), tuple(shape), begin, end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)
