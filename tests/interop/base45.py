"""Base45 (RFC 9285), written anew so that nothing of the programs under test checks itself."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def encode(data: bytes) -> str:
    text = []
    for start in range(0, len(data), 2):
        chunk = data[start : start + 2]
        value = int.from_bytes(chunk, "big")
        for _ in range(len(chunk) + 1):
            value, digit = divmod(value, 45)
            text.append(ALPHABET[digit])
    return "".join(text)


def decode(text: str) -> bytes:
    data = b""
    for start in range(0, len(text), 3):
        chunk = text[start : start + 3]
        value = sum(ALPHABET.index(char) * 45**place for place, char in enumerate(chunk))
        data += value.to_bytes(len(chunk) - 1, "big")
    return data
