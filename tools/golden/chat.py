#!/usr/bin/env python3
"""Writes tests/golden/chat.txt: conversations as chat templates render them, by Jinja with Hugging Face's settings.

Lines: `template FAMILY EOS TEXT` opens a template, then `chat ROLE TEXT ROLE TEXT ... = TEXT` for each conversation it accepts,
with the opening of an answer; `unknown EOS TEXT` is a template that gyre must refuse. Every TEXT and EOS is in hexadecimal
("-": empty). The beginning-of-sequence token at the front is left out: the tokenizer adds it. Needs: pip install jinja2.
"""
import pathlib

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "chat.txt"
BOS = "\x02"  # no template writes it: where it comes out, the template asked for the token

CHATML_LOOP = ("{% for message in messages %}HEAD{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
               "+ '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
DEFAULT = "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nTEXT<|im_end|>\n' }}{% endif %}"


def chatml(default=None):
    return CHATML_LOOP.replace("HEAD", DEFAULT.replace("TEXT", default) if default else "")


LLAMA3 = ("{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
          "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
          "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
          "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
LLAMA31 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
LLAMA2 = ("{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]"
          "['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message "
          "in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation "
          "roles must alternate') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n'"
          " + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}"
          "{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
          "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}")
MISTRAL_V1 = """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if loop.first and system_message is defined %}
            {{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}
        {%- else %}
            {{- ' [INST] ' + message['content'] + ' [/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {{- ' ' + message['content'] + eos_token}}
    {%- endif %}
{%- endfor %}
"""
MISTRAL_PLAIN = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + "
                 "' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% else %}"
                 "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
MISTRAL_LAST = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "OPEN" + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "OPEN" + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- "SPACE" + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
"""
GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {{- message['content'] | trim }}
    {{- '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""
PHI3 = ("{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}"
        "{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == "
        "'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}")
PHI4 = ("{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + message['content'] "
        "+ '<|im_end|>'}}{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + message['content'] + "
        "'<|im_end|>'}}{% elif (message['role'] == 'assistant') %}{{'<|im_start|>assistant<|im_sep|>' + message['content'] + "
        "'<|im_end|>'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}")
ZEPHYR = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
VICUNA = ("{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}{% elif message['role'] "
          "== 'user' %}{{ 'USER: ' + message['content'] + '\n' }}{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + "
          "message['content'] + eos_token + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}"
          "{% endif %}")
ALPACA = ("{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}{% elif message['role'] "
          "== 'user' %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}{% elif message['role'] == 'assistant' %}"
          "{{ '### Response:\n' + message['content'] + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}"
          "{{ '### Response:\n' }}{% endif %}")
DEEPSEEK_SYSTEM = ("You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you "
                   "only answer questions related to computer science. For politically sensitive questions, security and privacy "
                   "issues, and other non-computer science questions, you will refuse to answer")
DEEPSEEK = """{%- set ns = namespace(found=false) -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {%- set ns.found = true -%}
    {%- endif -%}
{%- endfor -%}
{{bos_token}}{%- if not ns.found -%}
{{'SYSTEM\\n'}}
{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
{{ message['content'] }}
    {%- else %}
        {%- if message['role'] == 'user' %}
{{'### Instruction:\\n' + message['content'] + '\\n'}}
        {%- else %}
{{'### Response:\\n' + message['content'] + '\\n<|EOT|>\\n'}}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}
{{'### Response:'}}
{% endif %}""".replace("SYSTEM", DEEPSEEK_SYSTEM)

TEMPLATES = [
    ("smollm2", "<|im_end|>", chatml("You are a helpful AI assistant named SmolLM, trained by Hugging Face")),
    ("qwen2.5", "<|im_end|>", chatml("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")),
    ("qwen2", "<|im_end|>", chatml("You are a helpful assistant.")),
    ("chatml", "<|im_end|>", chatml()),
    ("llama3.1", "<|eot_id|>", LLAMA31),
    ("llama3", "<|eot_id|>", LLAMA3),
    ("llama2", "</s>", LLAMA2),
    ("mistral-v1", "</s>", MISTRAL_V1),
    ("mistral", "</s>", MISTRAL_PLAIN),
    ("mistral-v3", "</s>", MISTRAL_LAST.replace("OPEN", "[INST] ").replace("SPACE", " ")),
    ("mistral-tekken", "</s>", MISTRAL_LAST.replace("OPEN", "[INST]").replace('"SPACE" + ', "")),
    ("gemma", "<eos>", GEMMA),
    ("phi3", "<|endoftext|>", PHI3),
    ("phi4", "<|im_end|>", PHI4),
    ("zephyr", "</s>", ZEPHYR),
    ("zephyr", "<|endoftext|>", ZEPHYR),  # StableLM's
    ("vicuna", "</s>", VICUNA),
    ("deepseek", "<|EOT|>", DEEPSEEK),
    ("alpaca", "</s>", ALPACA),
]
UNKNOWN = [
    "",
    "{% for m in messages %}{{ m['content'] }}{% endfor %}",
    "{% for m in messages %}{{ '[INST]' ~ m['content'] ~ '<stop>' }}{% endfor %}",
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}",
]
S, U, A = "system", "user", "assistant"
CHATS = [
    [(U, "Hi")],
    [(S, "Be brief."), (U, "What is 2+2?")],
    [(U, "one"), (A, "two"), (U, "three")],
    [(S, "Count."), (U, "one"), (A, "two"), (U, "three"), (A, "four"), (U, "five")],
    [(U, "a\nb <b>\u00e9\u4e2d</b> {{ x }}")],
]


def hexa(s):
    return s.encode().hex() or "-"


def refuse(message):
    raise jinja2.TemplateError(message)


def main():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = refuse
    with open(GOLDEN, "w") as f:
        for family, eos, text in TEMPLATES:
            print("template", family, hexa(eos), hexa(text), file=f)
            for chat in CHATS:
                messages = [{"role": r, "content": c} for r, c in chat]
                try:
                    out = env.from_string(text).render(messages=messages, bos_token=BOS, eos_token=eos, add_generation_prompt=True)
                except jinja2.TemplateError:
                    continue
                out = out.removeprefix(BOS).replace(BOS, "<s>")
                print("chat", *(x for r, c in chat for x in (r, hexa(c))), "=", hexa(out), file=f)
        for text in UNKNOWN:
            print("unknown", hexa("</s>"), hexa(text), file=f)


if __name__ == "__main__":
    main()
