"""RC2 in CBC mode (RFC 2268), decryption alone: how older programs protect certificates in PKCS#12 files.

It protects nothing any more; it is here so that such files can be read. `cryptography` has it for keys of
128 bits only, and these files have 40.
"""

import struct

BLOCK = 8
PI = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def decrypted_cbc(key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """With the padding that it has. `key` is as long as its effective length."""
    words = _expanded(key)
    plain, before = bytearray(), iv
    for place in range(0, len(ciphertext), BLOCK):
        block = ciphertext[place : place + BLOCK]
        plain += bytes(a ^ b for a, b in zip(_decrypted_block(words, block), before, strict=True))
        before = block
    return bytes(plain)


def _expanded(key: bytes) -> tuple[int, ...]:
    octets = bytearray(key)
    for place in range(len(key), 128):
        octets.append(PI[(octets[place - 1] + octets[place - len(key)]) & 0xFF])
    octets[128 - len(key)] = PI[octets[128 - len(key)]]
    for place in range(127 - len(key), -1, -1):
        octets[place] = PI[octets[place + 1] ^ octets[place + len(key)]]
    return struct.unpack("<64H", octets)


def _decrypted_block(words: tuple[int, ...], block: bytes) -> bytes:
    r = list(struct.unpack("<4H", block))
    place = 63
    for round in range(15, -1, -1):
        for i, rotation in ((3, 5), (2, 3), (1, 2), (0, 1)):
            value = (r[i] >> rotation | r[i] << 16 - rotation) & 0xFFFF
            one, other, third = r[i - 1], r[i - 2], r[i - 3]
            r[i] = (value - words[place] - (one & other) - (~one & third)) & 0xFFFF
            place -= 1
        if round in {11, 5}:
            for i in (3, 2, 1, 0):
                r[i] = (r[i] - words[r[i - 1] & 63]) & 0xFFFF
    return struct.pack("<4H", *r)
