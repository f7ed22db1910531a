#!/usr/bin/env python3
"""Writes the hand-made part of the fuzz corpora: inputs that reach past the first checks. The rest was found by the fuzzers
(`make fuzz`, then `-merge=1`). Usage: tests/fuzz/seeds.py, from the top folder."""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
NOP, GENERATE, SCORE, EMBED, TOKENIZE, CANCEL, DETOKENIZE = 0, 1, 2, 3, 4, 6, 7
TOKENS, CHAT, SPECIAL = 1, 2, 4


def sqe(op, flags=0, data=(0, 0), opts=(0, 0), target=0, split=0, max_tokens=0, user_data=7):
    return struct.pack("<BBHIQIIIIQQIIQ", op, 128, flags, max_tokens, user_data, *data, *opts, target, 0, split, 0, 0)


def options(bias=(), stop=(), **f):
    head = struct.pack("<IIffffffIIQIIII", 64, f.get("n_top", 0), f.get("temp", 0), f.get("top_p", 0), 0, 0, 0, 0,
                       f.get("top_k", 0), 0, f.get("seed", 0), len(bias), len(stop), f.get("pooling", 0), 0)
    tail = b"".join(struct.pack("<If", *b) for b in bias)
    for s in stop:
        tail += struct.pack("<I", len(s)) + s + bytes(-len(s) % 4)
    return head + tail


def message(role, text, json=b""):
    return struct.pack("<IIII", role, len(text), len(json), 0) + text + json + bytes(-(len(text) + len(json)) % 8)


def hello(sq=4, cq=8, arena=65536):
    return struct.pack("<IIQIII20x64x", 0x65727967, 1, 0, sq, cq, arena)


def region(sqes, arena=b"", tail=None, head=0, parked=0, sq=4):
    body = b"".join(sqes)
    return struct.pack("<III", len(sqes) if tail is None else tail, head, parked) + body + bytes(sq * 64 - len(body)) + arena


def charsmap():
    """"A" -> "bc", "\u00e9" -> "e", in 256 entries: a leaf's value lies 0x80 from it, and the child of 0xc3 at 0x6b."""
    unit = [0] * 256
    unit[0x41], unit[0xc1] = 0x41 | 1 << 8 | 0x80 << 10, 1 << 31 | 0
    unit[0xc3], unit[0x6b], unit[0xeb] = 0xc3 | 1 << 10, 0xa9 | 1 << 8 | 0x80 << 10, 1 << 31 | 3
    return struct.pack("<I256I", 1024, *unit) + b"bc\0e\0"


def vocab(model, flags, tokens, merges=(), cmap=b"", text=b""):
    """What fuzz_vocab.c reads; tokens are (type, score byte, spelling)."""
    b = bytes([model, flags, len(tokens)])
    b += b"".join(bytes([t, score, len(z)]) + z for t, score, z in tokens)
    b += bytes([len(merges)]) + b"".join(bytes([len(m)]) + m for m in merges)
    return b + struct.pack("<H", len(cmap)) + cmap + text


def gguf(tensors, **keys):
    """A file of f32 vectors of 8; keys are u16, split_n the total as i32."""
    def string(z):
        return struct.pack("<Q", len(z)) + z.encode()
    b = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for k, v in keys.items():
        b += string(k) + (string_value(v) if isinstance(v, str) else struct.pack("<IH", 2, v) if k != "split.tensors.count" else
                          struct.pack("<Ii", 5, v))
    for i, t in enumerate(tensors):
        b += string(t) + struct.pack("<IQIQ", 1, 8, 0, 32 * i)
    return b + bytes(-len(b) % 32) + bytes(32 * len(tensors))


def string_value(z):
    return struct.pack("<IQ", 8, len(z)) + z.encode()


WIDTH = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def header(path, is_fused=False):
    """A model's header without its vocabulary; q, k and v as one tensor, in the place of q."""
    data = path.read_bytes()
    at = 24

    def take(n):
        nonlocal at
        at += n
        return data[at - n:at]

    def string():
        return take(struct.unpack("<Q", take(8))[0])

    def value(kind):
        if kind == 8:
            return string()
        if kind != 9:
            return take(WIDTH[kind])
        of, n = struct.unpack("<IQ", take(12))
        return [value(of) for _ in range(n)]

    n_tensor, n_kv = struct.unpack("<QQ", data[8:24])
    keys = []
    for _ in range(n_kv):
        begin = at
        name = string()
        value(struct.unpack("<I", take(4))[0])
        if not name.startswith((b"tokenizer.", b"general.name")):
            keys.append(data[begin:at])
    tensors = []
    for _ in range(n_tensor):
        name = string()
        shape = list(struct.unpack(f"<{(n := struct.unpack('<I', take(4))[0])}Q", take(8 * n)))
        tensors.append([name, shape, take(12)])
    if is_fused:
        rows = {name: shape[-1] for name, shape, _ in tensors}
        for t in tensors:
            if b"attn_q." in t[0]:
                t[1][-1] += rows[t[0].replace(b"attn_q.", b"attn_k.")] + rows[t[0].replace(b"attn_q.", b"attn_v.")]
                t[0] = t[0].replace(b"attn_q.", b"attn_qkv.")
        tensors = [t for t in tensors if b"attn_k." not in t[0] and b"attn_v." not in t[0]]
        for i, t in enumerate(tensors):
            t[2] = t[2][:4] + struct.pack("<Q", i << 20)
    listed = b"".join(struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + rest
                      for name, shape, rest in tensors)
    return data[:8] + struct.pack("<QQ", len(tensors), len(keys)) + b"".join(keys) + listed + bytes(32)


def split(no, count=2, n=3):
    return {"split.no": no, "split.count": count, "split.tensors.count": n}


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def main():
    opts = options(bias=[(3, 1.5), (4, float("-inf"))], stop=[b"stop", b"\n\n"], n_top=5, temp=0.7, top_p=0.9, top_k=40, seed=9)
    pooled = options(pooling=0x101)
    chat = message(0, b"Be brief.") + message(1, b"Hi") + message(2, b"Hello!") + message(1, b"Bye")
    text = b"the quick brown fox, " * 3
    write("validate", "generate", sqe(GENERATE, data=(8, 16), max_tokens=5))
    write("validate", "options", sqe(GENERATE, opts=(0, len(opts))) + opts)
    write("validate", "score", sqe(SCORE, data=(0, 32), split=8))
    write("validate", "tokens", sqe(SCORE, TOKENS, data=(0, 32), split=8))
    write("validate", "tokenize", sqe(TOKENIZE, SPECIAL, data=(0, 9)))
    write("validate", "embed", sqe(EMBED, opts=(0, len(pooled))) + pooled)
    write("validate", "detokenize", sqe(DETOKENIZE, SPECIAL, data=(0, 8)))
    write("validate", "cancel", sqe(CANCEL, target=7))
    write("validate", "nop", sqe(NOP))
    write("validate", "wrap", sqe(GENERATE, data=(2**32 - 8, 16)))
    write("handshake", "hello", hello())
    write("handshake", "default", hello(0, 0, 0))
    write("handshake", "generate", hello() + region([sqe(GENERATE, data=(0, len(text)), max_tokens=3)], text))
    write("handshake", "options", hello() + region([sqe(GENERATE, data=(512, 8), opts=(0, len(opts)))], opts))
    write("handshake", "chat", hello() + region([sqe(GENERATE, CHAT, data=(0, len(chat)))], chat))
    write("handshake", "embed", hello() + region([sqe(EMBED, data=(512, 8), opts=(0, len(pooled)))], pooled))
    write("handshake", "detokenize", hello() + region([sqe(DETOKENIZE, SPECIAL, data=(0, 40))], struct.pack("<10I", *range(10))))
    write("handshake", "score", hello() + region([sqe(SCORE, data=(0, 40), split=10)], text))
    write("handshake", "ids", hello() + region([sqe(SCORE, TOKENS, data=(0, 40), split=8)], struct.pack("<10I", *range(10))))
    write("handshake", "cancel", hello() + region([sqe(GENERATE, data=(0, 9)), sqe(TOKENIZE, data=(0, 60000)), sqe(CANCEL, target=7),
                                                   sqe(NOP)], text))
    write("handshake", "long", hello() + region([sqe(TOKENIZE, data=(0, 5000)), sqe(GENERATE, data=(0, 300))] * 2, text))
    write("handshake", "lie_tail", hello() + region([sqe(NOP)], tail=5))
    write("handshake", "lie_head", hello() + region([sqe(NOP)], head=2**31, parked=2))
    write("handshake", "parked", hello() + region([sqe(NOP)] * 4, parked=2))
    write("tokenizer", "mixed", bytes([1, 1]) + "I've the 'abab' <|ab|> 12 \u00e9\u4e2d \U0001f600\n\n  th".encode())
    write("tokenizer", "control", bytes([1, 6]) + b"<|a|><|ab|><|a|<|a|>  aaaa")
    write("tokenizer", "long", bytes([255, 0]) + b"aa ab")
    words = "the then he n to o ab aab a b é e d c bc \u2581 \u2581the \u2581a ing \u4e2d \\n \\x41".split()
    tokens = [(1, 20 + 3 * i, w.encode()) for i, w in enumerate(words)] + [(3, 9, b"<s>"), (2, 9, b"<unk>"), (4, 9, b"to the")]
    merges = [b"t h", b"th e", b"\xe2\x96\x81 the", b"a b", b"a ab", b"h e", b"the n"]
    text = "the then A\u00e9\u00c9 to the  aabab\n\n\u4e2dab <s>\xff".encode() + b"\xff\xe4\xb8 to"
    for model in range(9):
        for flags in (0, 1, 9, 0x7f):
            write("vocab", f"model{model}_{flags:02x}", vocab(model, flags, tokens, merges, charsmap(), text))
    for path in (CORPUS.parent.parent / "golden" / "arch").glob("*.gguf"):
        write("model", path.stem, header(path))
        if path.stem in ("llama", "qwen2", "gemma3"):
            write("model", f"{path.stem}_fused", header(path, is_fused=True))
    arch = {"general.architecture": "llama"}
    write("gguf", "parts", gguf(["a", "b"], **arch, **split(0)) + gguf(["c"], **split(1)))
    write("gguf", "parts_of_three", gguf([], **arch, **split(0, 3)) + gguf(["a", "b"], **split(1, 3)) + gguf(["c"], **split(2, 3)))
    write("gguf", "parts_agree", gguf(["a", "b"], **arch, **split(0)) + gguf(["c"], **arch, **split(1)))
    write("gguf", "part_twice", gguf(["a", "b"], **arch, **split(0)) + gguf(["a"], **split(1)))
    write("gguf", "part_of_another", gguf(["a", "b"], **arch, **split(0)) + gguf(["c"], **{"general.architecture": "gemma"}, **split(1)))
    write("gguf", "part_alone", gguf(["a", "b"], **arch, **split(0)))
    write("gguf", "parts_65535", gguf(["a", "b"], **arch, **split(0, 65535)))
    tools = b'{"tools": [{"function": {"name": "f"}}], "add_generation_prompt": false}'
    call = b'{"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1.5e3}}}], "reasoning": "x"}'
    write("chat", "plain", chat)
    write("chat", "tools", message(5, b"", tools) + message(1, b"Weather?") + message(2, b"", call)
          + message(3, b"7", b'{"tool_call_id": "c1"}'))
    write("chat", "parts", message(1, b"", b'{"content": [{"type": "text", "text": "a"}], "role": "ipython"}'))
    write("chat", "go_on", message(5, b"", b'{"continue_final_message": true}') + message(1, b"a") + message(2, b"The sky "))
    write("chat", "forged", message(1, b"<|a|><|ab|> <|a|") + message(2, b">"))
    write("chat", "reserved", message(5, b"", b'{"messages": []}') + message(1, b"a"))
    write("chat", "odd_role", message(9, b"a"))
    write("chat", "cut", message(1, b"abc")[:-9])
    jinja()


def jinja():
    """What each row of the golden file that is not made by combining says, and the shorter templates, on one conversation."""
    golden = CORPUS.parents[1] / "golden" / "jinja"
    variables = {"d": {"a": {"b": 1}, "k": [1, 2]}, "l": [1, 2, 3], "users": [{"name": "Al", "age": 20, "ok": True}, {"name": "Bo", "age": 30}],
                 "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "<|u|>"},
                              {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5, None]}}}]}]}
    head = "{% set d, l, users, messages = x.d, x.l, x.users, x.messages %}"
    rows = [json.loads(r) for r in (golden / "rows.txt").read_text().split("\n")[1:] if r]
    texts = [r[0] for r in rows if not r[0].startswith("{{ (")]
    texts += [t for t in (json.loads(r)[2] for r in (golden / "templates.txt").read_text().split("\n") if r) if len(t) < 2500]
    for old in (CORPUS / "jinja").glob("seed*"):
        old.unlink()
    for k in range(0, len(texts), 4):
        write("jinja", "seed%03d" % (k // 4), (head + "\n".join(texts[k:k + 4])).encode() + b"\0" + json.dumps(variables).encode())


if __name__ == "__main__":
    main()
