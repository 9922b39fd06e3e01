"""Files that hold certificates and keys, as openssl writes them, and as nobody would."""

import base64
from pathlib import Path

from tests import pki as make
from tests.pki import PASSWORD, KeyPair

PKCS12_FORMS = {
    "of today": (),
    "of OpenSSL 1 and Windows": ("-legacy",),
    "RC2 of 128 bits": ("-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-3DES"),
    "3DES, SHA-512": ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha512"),
    "AES-128, many rounds": ("-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-iter", "100000"),
    "plain inside": ("-certpbe", "NONE", "-keypbe", "NONE"),
    "without MAC": ("-nomac",),
}
ENCRYPTED_KEY_FORMS = {
    "of today": ("pkcs8", "-topk8"),
    "scrypt": ("pkcs8", "-topk8", "-scrypt"),
    "SHA-512": ("pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"),
    "SHA-1, 3DES": ("pkcs8", "-topk8", "-v2", "des3", "-v2prf", "hmacWithSHA1"),
    "PKCS#12's 3DES": ("pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"),
    "traditional": ("pkey", "-traditional", "-aes256"),
    "traditional, 3DES": ("pkey", "-traditional", "-des3"),
}


def pkcs12(folder: Path, pair: KeyPair, *others: KeyPair, options: tuple[str, ...] = ()) -> bytes:
    chain, path = folder / "chain.pem", folder / "made.p12"
    chain.write_text("".join(other.certificate_pem for other in others))
    command = ["openssl", "pkcs12", "-export", "-in", str(pair.certificate), "-inkey", str(pair.key)]
    command += ["-certfile", str(chain)] if others else []
    make.run([*command, *options, "-out", str(path), "-passout", f"pass:{PASSWORD}"])
    return path.read_bytes()


def truststore(folder: Path, *cas: KeyPair) -> bytes:
    """PKCS#12 of certificates alone."""
    chain, path = folder / "cas.pem", folder / "cas.p12"
    chain.write_text("".join(ca.certificate_pem for ca in cas))
    command = ["openssl", "pkcs12", "-export", "-nokeys", "-in", str(chain), "-out", str(path)]
    make.run([*command, "-passout", f"pass:{PASSWORD}"])
    return path.read_bytes()


def pkcs7(folder: Path, *pairs: KeyPair, form: str = "DER") -> bytes:
    bundle, path = folder / "bundle.pem", folder / "made.p7b"
    bundle.write_text("".join(pair.certificate_pem for pair in pairs))
    command = ["openssl", "crl2pkcs7", "-nocrl", "-certfile", str(bundle)]
    make.run([*command, "-outform", form, "-out", str(path)])
    return path.read_bytes()


def encrypted_key(pair: KeyPair, form: str) -> str:
    program, *options = ENCRYPTED_KEY_FORMS[form]
    command = ["openssl", program, "-in", str(pair.key), *options, "-passout", f"pass:{PASSWORD}"]
    return make.run(command)


def der(pem: str) -> bytes:
    return base64.b64decode("".join(line for line in pem.splitlines() if line and "-----" not in line))


def pem(label: str, octets: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(octets).decode()}-----END {label}-----\n"


# What openssl does not write: ASN.1 by hand.


def tlv(tag: int, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 128 | size]) + len(body).to_bytes(size) + body


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(number: int) -> bytes:
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def octets(value: bytes) -> bytes:
    return tlv(0x04, value)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = bytes([first * 40 + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.insert(0, 0x80 | number & 0x7F)
        body += bytes(groups)
    return tlv(0x06, body)


AES_256 = sequence(oid("2.16.840.1.101.3.4.1.42"), octets(bytes(16)))


def pbes2(rounds: int, salt: bytes = b"salt") -> bytes:
    sha256 = sequence(oid("1.2.840.113549.2.9"), tlv(0x05))
    derivation = sequence(oid("1.2.840.113549.1.5.12"), sequence(octets(salt), integer(rounds), sha256))
    return sequence(oid("1.2.840.113549.1.5.13"), sequence(derivation, AES_256))


def scrypt(n: int, r: int, p: int) -> bytes:
    numbers = (integer(n), integer(r), integer(p))
    derivation = sequence(oid("1.3.6.1.4.1.11591.4.11"), sequence(octets(b"salt"), *numbers))
    return sequence(oid("1.2.840.113549.1.5.13"), sequence(derivation, AES_256))


def pkcs12_pbe(rounds: int, kind: int = 3) -> bytes:
    return sequence(oid(f"1.2.840.113549.1.12.1.{kind}"), sequence(octets(b"saltsalt"), integer(rounds)))


def shrouded(algorithm: bytes, ciphertext: bytes = bytes(32)) -> bytes:
    """An EncryptedPrivateKeyInfo."""
    return sequence(algorithm, octets(ciphertext))


def bag(kind: int, value: bytes) -> bytes:
    return sequence(oid(f"1.2.840.113549.1.12.10.1.{kind}"), tlv(0xA0, value))


def plain(*bags: bytes) -> bytes:
    return sequence(oid("1.2.840.113549.1.7.1"), tlv(0xA0, octets(sequence(*bags))))


def sealed(algorithm: bytes, ciphertext: bytes = bytes(32)) -> bytes:
    inside = sequence(oid("1.2.840.113549.1.7.1"), algorithm, tlv(0x80, ciphertext))
    return sequence(oid("1.2.840.113549.1.7.6"), tlv(0xA0, sequence(integer(0), inside)))


def pfx(*safes: bytes, mac_rounds: int = 0) -> bytes:
    authenticated = sequence(oid("1.2.840.113549.1.7.1"), tlv(0xA0, octets(sequence(*safes))))
    sha1 = sequence(sequence(oid("1.3.14.3.2.26"), tlv(0x05)), octets(bytes(20)))
    mac = [sequence(sha1, octets(b"saltsalt"), integer(mac_rounds))] if mac_rounds else []
    return sequence(integer(3), authenticated, *mac)
