"""The page's modules by themselves: readers against another implementation's bytes, and at their limits."""

import random
import unittest

import cbor2

from browser import PageError
from page import PageTest
from passes import Key, base45, cbor, coded_set

BYTES = "const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));"


class Modules(PageTest):
    def setUp(self):
        super().setUp()
        self.open()

    def use(self, file, script, *values):
        module = f"const module = await import(location.origin + '/{file}'); {BYTES}"
        return self.browser.run_async(module + script, *values)

    def code_of(self, file, script, *values):
        with self.assertRaises(PageError) as raised:
            self.use(file, script, *values)
        return raised.exception.code

    def decoded_set(self, value):
        script = "const { decode } = await import(location.origin + '/cbor.js');"
        script += "return [...module.decodeSet(decode(bytes(values[0])))];"
        return self.use("rice.js", script, cbor(value).hex())

    def refused_set(self, value):
        with self.assertRaises(PageError) as raised:
            self.decoded_set(value)
        self.assertEqual(raised.exception.code, "list-unreadable")

    def test_any_set_of_tags_comes_back_from_its_code(self):
        chance = random.Random(16)
        sets = [[], [0], [2**48 - 1], [0, 1, 2, 3], [0, 2**48 - 1], list(range(500))]
        sets.append([2**47 + number * 3 for number in range(99)])
        sets += [sorted(chance.sample(range(2**48), size)) for size in (1, 2, 10, 1000)]
        for tags in sets:
            self.assertEqual(self.decoded_set(coded_set(tags)), tags)
        # The smaller the parameter, the longer the quotients in unary: the tags are chosen to fit it.
        for parameter, bits in ((0, 12), (1, 14), (7, 20), (8, 20), (9, 24), (47, 48), (48, 48)):
            tags = sorted(chance.sample(range(2**bits), 50))
            self.assertEqual(self.decoded_set(coded_set(tags, parameter)), tags)

    def test_a_code_that_says_more_or_less_than_its_tags_is_refused(self):
        good = coded_set([5, 9, 1000], 4)
        self.assertEqual(self.decoded_set(good), [5, 9, 1000])
        padded = good[3][:-1] + bytes([good[3][-1] | 1])
        self.assertEqual(good[3][-1] & 1, 0)
        for bad in (
            good | {3: padded},
            good | {3: good[3] + b"\x00"},
            good | {3: good[3][:-1]},
            good | {1: 4},
            good | {1: 2},
            good | {1: -1},
            good | {2: 49},
            good | {2: -1},
            good | {3: "text"},
            {1: 0, 2: 0, 3: b"\x00"},
            {1: 1, 2: 48, 3: b"\x80" + bytes(6)},
            {1: 2, 2: 48, 3: bytes.fromhex("7fffffffffff8000000000000000")},
            {1: 3, 2: 4},
            [1, 2, 3],
        ):
            with self.subTest(bad):
                self.refused_set(bad)

    def test_as_many_tags_as_allowed_are_read_and_one_more_is_refused(self):
        script = "const set = (count) => new Map([[1, count], [2, 0], [3, new Uint8Array(Math.ceil(count / 8))]]);"
        decode = "const tags = module.decodeSet(set(module.MAX_TAGS)); return [tags.length, tags.at(-1)]"
        most = self.use("rice.js", script + decode)
        self.assertEqual(most, [4_000_000, 3_999_999])
        self.assertEqual(self.code_of("rice.js", script + "module.decodeSet(set(module.MAX_TAGS + 1))"), "list-unreadable")

    def test_cbor_of_every_used_type_is_read(self):
        script = """
          const plain = (value) => value instanceof Map ? [...value].map(([key, inner]) => [key, plain(inner)])
            : value instanceof Uint8Array ? [...value]
            : Array.isArray(value) ? value.map(plain)
            : value instanceof module.Tagged ? { tag: value.tag, value: plain(value.value) } : value;
          return plain(module.decode(bytes(values[0])));
        """
        values = [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, -1, -24, -25, -65537, -(2**32)]
        values += ["", "текст", True, False, None, [], [1, ["a", None]]]
        for value in values:
            self.assertEqual(self.use("cbor.js", script, cbor(value).hex()), value)
        self.assertEqual(self.use("cbor.js", script, cbor(b"\x01\xff").hex()), [1, 255])
        self.assertEqual(self.use("cbor.js", script, cbor({1: "a", -1: 2, "b": {}}).hex()), [[1, "a"], [-1, 2], ["b", []]])
        self.assertEqual(self.use("cbor.js", script, cbor(cbor2.CBORTag(61, 5)).hex()), {"tag": 61, "value": 5})

    def test_cbor_that_is_not_deterministic_or_not_used_is_refused(self):
        cases = {
            "nothing": "",
            "a byte too many": "0000",
            "one in two bytes": "1801",
            "255 in three": "1900ff",
            "65535 in five": "1a0000ffff",
            "2^32-1 in nine": "1b00000000ffffffff",
            "2^53": "1b0020000000000000",
            "indefinite bytes": "5f4100ff",
            "indefinite list": "9f00ff",
            "indefinite map": "bf0000ff",
            "break": "ff",
            "reserved": "1c",
            "half float": "f93c00",
            "double": "fb3ff0000000000000",
            "undefined": "f7",
            "simple 32": "f820",
            "keys out of order": "a202000100",
            "a key twice": "a201000100",
            "a key of bytes": "a1410000",
            "a list cut short": "8200",
            "a long list of nothing": "9b000fffffffffffff",
            "long bytes": "5b000fffffffffffff",
            "no UTF-8": "61ff",
        }
        for name, code in cases.items():
            with self.subTest(name):
                self.assertEqual(self.code_of("cbor.js", "module.decode(bytes(values[0]))", code), "cbor")

    def test_cbor_is_read_as_deep_as_allowed_and_no_deeper(self):
        deep = "81" * 16 + "00"
        self.use("cbor.js", "module.decode(bytes(values[0]))", deep)
        self.assertEqual(self.code_of("cbor.js", "module.decode(bytes(values[0]))", "81" + deep), "cbor")

    def test_base45_gives_back_any_bytes_and_refuses_what_the_rfc_refuses(self):
        script = "return [...module.decode(values[0])]"
        chance = random.Random(45)
        for length in (0, 1, 2, 3, 200, 201):
            data = chance.randbytes(length)
            self.assertEqual(self.use("base45.js", script, base45(data)), list(data))
        self.assertEqual(self.use("base45.js", script, "QED8WEX0"), list(b"ietf!"))
        for bad in ("GGW", "::", ":::", "0", "ABCD", "ab0", "AB_", "ÄB0"):
            self.assertEqual(self.code_of("base45.js", script, bad), "base45")

    def test_inflating_stops_at_its_limit(self):
        script = """
          const pressed = async (length) => new Uint8Array(await new Response(
            new Blob([new Uint8Array(length)]).stream().pipeThrough(new CompressionStream('deflate'))).arrayBuffer());
          return (await module.inflate(await pressed(values[0]))).length;
        """
        self.assertEqual(self.use("zlib.js", script, 64 * 1024), 64 * 1024)
        for length in (64 * 1024 + 1, 50_000_000):
            self.assertEqual(self.code_of("zlib.js", script, length), "zlib")

    def test_a_key_id_is_that_of_its_thumbprint(self):
        key = Key()
        script = "return String.fromCharCode(...await module.keyId(bytes(values[0]), bytes(values[1])))"
        self.assertEqual(self.use("cose.js", script, key.x.hex(), key.y.hex()), key.kid.decode())

    def test_every_latin_initial_stands_for_the_cyrillic_ones_of_the_passport_rules(self):
        script = "return [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].map((latin) => module.cyrillicOf(latin).join(''))"
        letters = self.use("initials.js", script)
        russian = "А Б Ч Д ЕЁЭ Ф Г _ ИЙЮЯ _ КХ Л М Н О П _ Р СШЩ ТЦ У В _ _ Ы ЖЗ"
        for place, part in zip(letters, russian.split()):
            self.assertEqual(place[: len(part.strip("_"))], part.strip("_"))
        # Ь begins no name and has no letter of its own; no letter stands in two places.
        every = sorted("".join(letters))
        self.assertLessEqual(set("АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЭЮЯ"), set(every))
        self.assertEqual(len(every), len(set(every)))

    def test_both_languages_have_a_text_for_everything(self):
        texts = self.use("i18n.js", "return [Object.keys(module.TEXTS.ru), Object.keys(module.TEXTS.en)]")
        self.assertEqual(texts[0], texts[1])
        reasons = self.use("fault.js", "return module.REASONS")
        verdicts = self.use("verify.js", "return module.VERDICTS")
        wanted = {f"reason-{reason}" for reason in reasons} | {f"verdict-{verdict}" for verdict in verdicts}
        self.assertLessEqual(wanted, set(texts[0]))
        named = {f"reason-{name}" for name in reasons}
        self.assertEqual({key for key in texts[0] if key.startswith("reason-")} - {"reason-code"}, named)


if __name__ == "__main__":
    unittest.main()
