"""Checks a proof that `oms-es audit prove` wrote. Needs Python 3.9 and nothing else: read it, then run it.

    python3 check_proof.py PROOF.json --key KEY [--key KEY …] [--witness KEY …]

It believes the keys that you give it and nothing else: get them by a way that you trust, and not with the proof. What
it says then is so: these events, with these bytes, are in the log that the key has signed, at these places; and if the
proof names an older checkpoint, the log still begins with all that was signed then. Of an event that was encrypted
after it was signed, "sealed_state" has the bytes that were signed. Without them what it says is not proved: a record in
the log names the digest of its bytes before and now, and those who run the log can add a record.
Formats: RFC 9162 (Merkle trees), RFC 8032 (Ed25519), c2sp.org/signed-note, /tlog-checkpoint and /tlog-cosignature.
Exit code 0: it is so. 6: it is not. 2: it was asked for in another way.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
from functools import partial

bytes_of = partial(base64.b64decode, validate=True)


def need(holds, why):
    if not holds:
        raise ValueError(why)


# --- Ed25519, RFC 8032, section 5.1.7; points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z ---
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    c, d = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    e, f, g, h = f - e, d - c, d + c, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    found = (0, 1, 1, 0)
    while n:
        found, point, n = add(found, point) if n & 1 else found, add(point, point), n >> 1
    return found


def point_of(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y % (1 << 255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and x * x % P == square and (x or not sign), "a key is no point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def encoded_of(point):
    x, y = (part * pow(point[2], P - 2, P) % P for part in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def is_signed(public, message, signature):
    base, key = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")), point_of(public)
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus = (P - key[0], key[1], key[2], P - key[3])
    return len(signature) == 64 and s < L and encoded_of(add(times(s, base), times(k, minus))) == signature[:32]


# --- Merkle trees, RFC 9162, sections 2.1.3.2 and 2.1.4.2 ---
def climb(place, last, old, new, path):
    """The roots that a path leads to: of the older tree, and of the newer one."""
    for part in path:
        need(last, "a path is too long")
        if place & 1 or place == last:
            old, new = (hashlib.sha256(b"\1" + part + root).digest() for root in (old, new))
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = hashlib.sha256(b"\1" + new + part).digest()
        place, last = place >> 1, last >> 1
    need(not last, "a path is too short")
    return old, new


def check_consistency(old, size, old_root, root, path):
    need(0 <= old <= size, "the older checkpoint is larger than the newer one")
    if old in (0, size):
        need(not path and old_root == (root if old else hashlib.sha256().digest()), "history was rewritten")
        return
    path = path if old & (old - 1) else [old_root, *path]
    need(path, "a path is too short")
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    need(climb(place, last, path[0], path[0], path[1:]) == (old_root, root), "history was rewritten")


# --- Signed notes and checkpoints ---
def key_of(text):
    name, hashed, key = text.strip().split("+", 2)
    key = bytes_of(key)
    right = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
    need(len(key) == 33 and key[0] in (1, 4) and right == hashed, f"{text} is no key")
    return name, bytes.fromhex(hashed), key[0], key[1:]


def has_signed(key, body, lines):
    (name, hashed, kind, public), found = key, False
    for line in lines:
        dash, its_name, signature = line.split(" ")
        need(dash == "—", "a line of a signature is not one")
        decoded = bytes_of(signature)
        if (its_name, decoded[:4]) == (name, hashed):
            cosigned = f"cosignature/v1\ntime {int.from_bytes(decoded[4:12], 'big')}\n{body}"
            message, signature = (cosigned, decoded[12:]) if kind == 4 else (body, decoded[4:])
            need(is_signed(public, message.encode(), signature), f"the signature of {name} is not its own")
            found = True
    return found


def checkpoint_of(note, keys, witnesses):
    body, blank, signatures = note.rpartition("\n\n")
    need(blank and signatures.endswith("\n"), "the checkpoint is no signed note")
    body, lines = body + "\n", signatures[:-1].split("\n")
    need(sum(has_signed(key, body, lines) for key in keys), "no key that was given has signed the checkpoint")
    for witness in witnesses:
        need(has_signed(witness, body, lines), f"{witness[0]} has not co-signed the checkpoint")
    origin, size, root = body.split("\n")[:3]
    need(re.fullmatch("0|[1-9][0-9]*", size, re.ASCII) and len(bytes_of(root)) == 32, "the checkpoint is not one")
    return origin, int(size), bytes_of(root)


# --- The proof ---
def entry_of(event, recorded):
    digest, kind = hashlib.sha256(event["state"].encode()).digest(), event["type"].encode()
    if "sealed" in event:
        need((event["position"], event["sealed"], digest.hex()) in recorded, "no record says that it was encrypted")
        need("encrypted" in json.loads(event["state"]), "a record names an event of which nothing is encrypted")
        clear = event.get("sealed_state")
        need(clear is None or hashlib.sha256(clear.encode()).hexdigest() == event["sealed"], "other bytes were sealed")
        digest = bytes.fromhex(event["sealed"])
    need("sealed" in event or "sealed_state" not in event, "sealed bytes are given without their digest")
    head = struct.pack(">16sqq32sI", b"oms-es/event/v1\n", event["position"], event["version"], digest, len(kind))
    return head + kind + event["stream"].encode()


def check(proof, keys, witnesses):
    need(proof["format"] == "oms-es/proof/v1", "it is of another format")
    origin, size, root = checkpoint_of(proof["checkpoint"], keys, witnesses)
    places = [event["index"] for event in proof["events"]]
    need(places == sorted(set(places)), "the events are not in the order of the log")
    record, recorded = ("encryption-log", "EventsEncrypted"), set()
    for event in proof["events"]:
        if (event["stream"], event["type"]) == record and "sealed" not in event:
            said = json.loads(event["state"])["event"]
            for one in said["events"]:
                if said["previous"] < one["position"] <= said["reached"] <= said["through"] < event["position"]:
                    recorded.add((one["position"], one["before"], one["after"]))
    for event in proof["events"]:
        leaf, path = hashlib.sha256(b"\0" + entry_of(event, recorded)).digest(), list(map(bytes_of, event["path"]))
        holds = 0 <= event["index"] < size and climb(event["index"], size - 1, leaf, leaf, path)[1] == root
        need(holds, f"the event at {event['position']}, or its place, is not what was signed")
    said = [f"{origin}: {len(places)} events are in the log of {size} events that the key has signed"]
    if proof.get("older"):
        older = checkpoint_of(proof["older"]["checkpoint"], keys, ())
        need(older[0] == origin, "the older checkpoint is of another log")
        check_consistency(older[1], size, older[2], root, [bytes_of(part) for part in proof["older"]["path"]])
        said.append(f"it begins with the {older[1]} events that were signed before")
    return said


def main():
    parser = argparse.ArgumentParser(description="Exits with 0: proved; 6: nothing is; 11: all but what is said")
    parser.add_argument("file")
    parser.add_argument("--key", action="append", required=True, help="name+hash+base64, as its owner gave it to you")
    parser.add_argument("--witness", action="append", default=[], help="a key that must have co-signed")
    asked = parser.parse_args()
    try:
        with open(asked.file, encoding="utf-8") as file:
            proof = json.load(file)
        said = check(proof, [key_of(key) for key in asked.key], [key_of(key) for key in asked.witness])
    except (OSError, KeyError, TypeError, AttributeError, ValueError, struct.error) as why:
        print(f"NOT PROVED: {why}", file=sys.stderr)
        return 6
    for event in proof["events"]:
        later = " (encrypted later: its sealed bytes are here)" if "sealed_state" in event else ""
        later = " (encrypted later: what it says is NOT PROVED)" if "sealed" in event and not later else later
        print(f"{event['position']:>10} {event['type']:<32} {event['stream']} {event['version']}{later}")
    print("\n".join(said))
    return 11 if any("sealed" in one and "sealed_state" not in one for one in proof["events"]) else 0


if __name__ == "__main__":
    sys.exit(main())
