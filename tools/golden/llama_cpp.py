"""llama.cpp as a library, out of the wheel xllamacpp (PyPI), whose one .so exports its C functions: logits and tokens of a model.

K and V are in `kv`: "f32" or "f16"; attention is the plain one where that is f32, since the fused one rounds them. Structs that C takes
by value are declared as far as they are needed, with room behind: a caller's copy may be longer than what is read of it. Their
defaults say whether a wheel has them otherwise.
"""
import ctypes
import os
import pathlib

import numpy as np
import xllamacpp

_c = ctypes.c_void_p
_u32 = ctypes.c_uint32
KV = {"f32": 0, "f16": 1}


class ModelParams(ctypes.Structure):
    _fields_ = [("all", ctypes.c_uint64 * 64)]


class ContextParams(ctypes.Structure):
    _fields_ = [("n_ctx", _u32), ("n_batch", _u32), ("n_ubatch", _u32), ("n_seq_max", _u32), ("more", _u32 * 3),
                ("n_threads", ctypes.c_int32), ("n_threads_batch", ctypes.c_int32), ("types", ctypes.c_int32 * 4),
                ("flash_attn", ctypes.c_int32), ("rope", ctypes.c_float * 8), ("callback", _c * 2), ("type_k", ctypes.c_int32),
                ("type_v", ctypes.c_int32), ("rest", ctypes.c_uint64 * 64)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", _c),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, _c)
FUNCTIONS = {
    "llama_log_set": (None, LOG, _c),
    "llama_model_default_params": (ModelParams,),
    "llama_context_default_params": (ContextParams,),
    "llama_model_load_from_file": (_c, ctypes.c_char_p, ModelParams),
    "llama_init_from_model": (_c, _c, ContextParams),
    "llama_free": (None, _c),
    "llama_model_free": (None, _c),
    "llama_model_get_vocab": (_c, _c),
    "llama_vocab_n_tokens": (ctypes.c_int32, _c),
    "llama_tokenize": (ctypes.c_int32, _c, ctypes.c_char_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32,
                       ctypes.c_bool, ctypes.c_bool),
    "llama_batch_init": (Batch, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32),
    "llama_batch_free": (None, Batch),
    "llama_get_memory": (_c, _c),
    "llama_memory_clear": (None, _c, ctypes.c_bool),
    "llama_decode": (ctypes.c_int32, _c, Batch),
    "llama_get_logits": (ctypes.POINTER(ctypes.c_float), _c),
    "llama_synchronize": (None, _c),
}
lib = ctypes.CDLL(next(pathlib.Path(xllamacpp.__file__).parent.glob("*.so")))
for _name, (_result, *_arguments) in FUNCTIONS.items():
    _f = getattr(lib, _name)
    _f.restype, _f.argtypes = _result, _arguments


@LOG
def _nowhere(level, text, data):
    pass


lib.llama_log_set(_nowhere, None)


def context_params():
    p = lib.llama_context_default_params()
    known = (p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max, p.flash_attn, p.type_k, p.type_v)
    if known != (512, 2048, 512, 1, -1, KV["f16"], KV["f16"]) or p.n_threads != p.n_threads_batch:
        raise RuntimeError("this xllamacpp has another struct llama_context_params; use 2026.10.11549")
    return p


class Model:
    def __init__(self, path, n_ctx, kv="f16", n_thread=2):
        self.model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        if not self.model:
            raise RuntimeError("llama.cpp refuses it")
        p = context_params()
        p.n_ctx = p.n_batch = p.n_ubatch = n_ctx
        p.n_threads = p.n_threads_batch = n_thread
        p.type_k = p.type_v = KV[kv]
        p.flash_attn = int(kv != "f32")
        self.context = lib.llama_init_from_model(self.model, p)
        if not self.context:
            raise RuntimeError("llama.cpp makes no context of it")
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.n_vocab = lib.llama_vocab_n_tokens(self.vocab)

    def close(self):
        lib.llama_free(self.context)
        lib.llama_model_free(self.model)

    def tokens(self, text):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        n = lib.llama_tokenize(self.vocab, data, len(data), ids, len(ids), False, False)
        return list(ids[:n])

    def clear(self):
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)

    def step(self, ids, n_past, first=0):
        """Runs tokens behind n_past others; those from the first-th on get logits."""
        batch = lib.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = int(token), n_past + i, 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = int(i >= first)
        error = lib.llama_decode(self.context, batch)
        lib.llama_batch_free(batch)
        if error:
            raise RuntimeError(f"llama_decode says {error}")

    def logits(self, ids, first=0):
        """[len(ids) - first][n_vocab], of one pass from an empty context; valid until the next."""
        self.clear()
        self.step(ids, 0, first)
        return np.ctypeslib.as_array(lib.llama_get_logits(self.context), (len(ids) - first, self.n_vocab))
