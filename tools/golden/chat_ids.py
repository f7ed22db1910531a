#!/usr/bin/env python3
"""Judges ids of whole chats: `gyre tokenize --chat` against Hugging Face tokenizers on what Jinja2 renders. Writes nothing.

Templates are those of tests/golden/jinja/templates.txt, conversations those of chat.py. Two vocabularies: the model's own, and the
same with the marks of other families as control tokens and a BOS that is added. Marks in the conversations are veiled before
rendering, so that the template's alone split the text; what lies between goes through the tokenizer without control tokens. Where
the conversation has no marks, the tokenizer's own reading of the whole text must agree as well. Where Jinja2 raises, gyre must fail.
Usage: chat_ids.py [MODEL.gguf [EVERY]]: each EVERYth template (40). Needs: pip install gguf tokenizers jinja2
transformers; build/gyre.
"""
import copy
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jinja2
from gguf import GGUFReader, GGUFWriter

import chat
import jinja
import tokens

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = sys.argv[1] if len(sys.argv) > 1 else tokens.MODEL
EVERY = int(sys.argv[2]) if len(sys.argv) > 2 else 40
DATE = datetime.datetime.fromtimestamp(jinja.NOW, datetime.timezone.utc).strftime("%Y-%m-%d")
GYRE = os.environ.get("BUILD", "build") + "/gyre"
BOS = "<|begin_of_text|>"


def fields(path):
    return {k: f for k, f in GGUFReader(path).fields.items() if k.startswith("tokenizer.ggml")}


def write_more(path):
    """The model's vocabulary, without weights, with more control tokens."""
    f = fields(MODEL)
    token, kind = f["tokenizer.ggml.tokens"].contents(), f["tokenizer.ggml.token_type"].contents()
    more = [c for c in chat.CONTROL if c not in token]
    w = GGUFWriter(path, "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(token + more)
    w.add_token_types(kind + [tokens.CONTROL] * len(more))
    w.add_token_merges(f["tokenizer.ggml.merges"].contents())
    w.add_bos_token_id((token + more).index(BOS))
    w.add_eos_token_id((token + more).index("<|eot_id|>"))
    w.add_add_bos_token(True)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


class Judge:
    def __init__(self, path):
        f = fields(path)
        token, kind = f["tokenizer.ggml.tokens"].contents(), f["tokenizer.ggml.token_type"].contents()
        self.path = path
        self.id = {t: i for i, t in enumerate(token)}
        self.control = [t for t, k in zip(token, kind) if k == tokens.CONTROL]
        self.cut = re.compile("(" + "|".join(map(re.escape, sorted(self.control, key=len, reverse=True))) + ")")
        self.whole = tokens.reference(path)
        self.plain = tokens.reference(path, special=False)
        get = lambda k: f["tokenizer.ggml." + k].contents() if "tokenizer.ggml." + k in f else None
        self.names = {n + "_token": token[get(k + "_token_id")] for n, k in
                      [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")] if get(k + "_token_id") is not None}
        self.bos = self.id[self.names["bos_token"]] if get("add_bos_token") else None

    def ids(self, veiled):
        out = []
        for part in self.cut.split(veiled):
            out += [self.id[part]] if part in self.control else self.plain.encode(
                part.translate(chat.UNVEIL), add_special_tokens=False).ids
        return [self.bos] + out if self.bos is not None and out[:1] != [self.bos] else out

    def render(self, template, messages, variables):
        v = {"tools": None, "documents": None, "add_generation_prompt": True, **variables, **self.names}
        return template.render(messages=messages, **v)

    def expected(self, template, messages, variables):
        """ids, or None: it raises. False: the veil changes what the template does."""
        given = chat.as_transformers(copy.deepcopy(messages))
        try:
            text = self.render(template, given, variables)
            veiled = self.render(template, chat.veil(given), chat.veil(variables))
        except Exception:
            return None
        if veiled.translate(chat.UNVEIL) != text:
            return False
        ids = self.ids(veiled)
        if veiled == text:
            whole = self.whole.encode(text, add_special_tokens=False).ids
            assert whole == ids or [self.bos] + whole == ids, text
        return ids


def ours(path, template, messages, variables, folder):
    (folder / "m.json").write_text(json.dumps({"messages": messages, "chat_template_kwargs": variables}))
    (folder / "t.jinja").write_text(template)
    r = subprocess.run([GYRE, "tokenize", "--chat", "--json", "-m", path, "--chat-date", DATE, "--chat-template",
                        str(folder / "t.jinja"), "--messages", str(folder / "m.json")], capture_output=True, text=True)
    return json.loads(r.stdout) if r.returncode == 0 else None


def main():
    chats = [c for c in chat.CHATS if not any(m["role"] in ("endoftext", "im_start") or isinstance(m["content"], list) for m in c[0])]
    templates = [json.loads(line)[2] for line in (ROOT / "tests/golden/jinja/templates.txt").read_text().splitlines()][::EVERY]
    n = {"equal": 0, "refused by both": 0, "not judged": 0, "different": 0}
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d)
        write_more(str(folder / "more.gguf"))
        for path in (MODEL, str(folder / "more.gguf")):
            judge = Judge(path)
            for text in templates:
                try:
                    template = jinja.compiled(text)
                except jinja2.TemplateError:
                    continue  # some in the collection cannot be parsed
                for messages, variables in chats:
                    want = judge.expected(template, messages, variables)
                    got = ours(path, text, messages, variables, folder)
                    if want is False:
                        n["not judged"] += 1
                    elif got == want:
                        n["equal" if got else "refused by both"] += 1
                    else:
                        n["different"] += 1
                        print("different:", json.dumps(text[:60]), messages, variables, want and want[:9], got and got[:9])
    print(len(templates), "templates:", ", ".join(f"{v} {k}" for k, v in n.items()))
    return n["different"] > 0


if __name__ == "__main__":
    sys.exit(main())
