/*
 * One row per pre-tokenizer: the names that tokenizer.ggml.pre has for it, and the patterns the models were trained with, in
 * the order in which they apply. A new model family is a new row. No file says whether a family's texts are in form C, so that
 * the row does: LOG.md has where it is known from.
 *
 * White space is spelled out: PCRE2's \s also takes U+180E, which the tokenizers these vocabularies were trained with do not.
 * U+017F is an s where case does not count. Repetitions that can be possessive are, and a condition on the end of a run
 * is tested at its beginning only, so that no text takes more than near-linear time.
 */
#include "daemon/text/pre.h"

#include <stdint.h>
#include <string.h>

#define WS          "\\x09-\\x0d\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define SPACE_TAIL  "[" WS "]+(?![^" WS "])|[" WS "]+"
#define LINES       "[" WS "]*[\\r\\n]+|"
#define OTHER       " ?[^" WS "\\p{L}\\p{N}]+"
#define CONTRACTION "'(?:[sS\\x{17f}]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" OTHER "|" SPACE_TAIL
/* The family that tiktoken's cl100k began; digits is how numbers are cut. */
#define WORD           CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define CL100K(digits) WORD digits "|" OTHER "[\\r\\n]*|" LINES SPACE_TAIL
/* Runs of 512, 256, … spaces. None of the blanks behind one begins a line break: the first of them looked for it. */
#define BLANK \
	"\\x09\\x0b\\x0c\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define RUN(n) "[" WS "]{" n "}(?![^" WS "])|"
#define CASCADE                                                                                                   \
	"(?<![" BLANK "])" LINES RUN("512") RUN("256") RUN("128") RUN("64") RUN("32") RUN("16") RUN("8") RUN("4") \
		RUN("1,2") "[" WS "]"

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
/* The same without Han: classes have no intersections, so the complement is listed. */
#define UPPER_NO_HAN "[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}]"
#define LOWER_NO_HAN "[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}]"
/* The family of o200k. */
#define CASED_WORDS(upper, lower, suffix) \
	"[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower "*" suffix "|"
#define O200K(suffix, digits) CASED_WORDS(UPPER, LOWER, suffix) digits "|" OTHER "[\\r\\n/]*|" LINES SPACE_TAIL
#define ENDING                "(?:" CONTRACTION ")?"

#define KANJI_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define DEEPSEEK_V3                                                                                               \
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\" \
	"p{P}\\p{S}]+[\\r\\n]*|" LINES SPACE_TAIL
#define DEEPSEEK_CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
/* Letters with case, as far as the model's tokenizer lists them. */
#define DEEPSEEK_CASED                                                                                    \
	"A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"   \
	"\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}"             \
	"\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}"   \
	"\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}"   \
	"\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}" \
	"\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}"  \
	"\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"  \
	"\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}" \
	"\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"   \
	"\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"            \
	"\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"            \
	"\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"  \
	"\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}" \
	"\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}"                \
	"\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"            \
	"\\x{1e900}-\\x{1e943}"

/* Punctuation of Hugging Face's pre-tokenizer of that name: ASCII's, and Unicode's as its older table has it. */
#define PUNCTUATION                                                                                      \
	"(?:(?!["                                                                                        \
	"\\x{61d}\\x{9fd}\\x{a76}\\x{c77}\\x{c84}\\x{1b7d}-\\x{1b7e}\\x{2e43}-\\x{2e4f}"                 \
	"\\x{2e52}-\\x{2e5d}\\x{10ead}\\x{10f55}-\\x{10f59}\\x{10f86}-\\x{10f89}\\x{1144b}-\\x{1144f}"   \
	"\\x{1145a}-\\x{1145b}\\x{1145d}\\x{11660}-\\x{1166c}\\x{116b9}\\x{1183b}\\x{11944}-\\x{11946}"  \
	"\\x{119e2}\\x{11a3f}-\\x{11a46}\\x{11a9a}-\\x{11a9c}\\x{11a9e}-\\x{11aa2}\\x{11c41}-\\x{11c45}" \
	"\\x{11c70}-\\x{11c71}\\x{11ef7}-\\x{11ef8}\\x{11fff}\\x{12ff1}-\\x{12ff2}\\x{16e97}-\\x{16e9a}" \
	"\\x{16fe2}\\x{1e95e}-\\x{1e95f}"                                                                \
	"])[\\p{P}!-/:-@\\[-`{-~\\x{166d}\\x{111c9}])"

#define BLOOM " ?[^(" WS "|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
/* Digits with no character of a word behind them; what Oniguruma's \w takes (of numbers only Latin-1's). */
#define DIGITS_ALONE                                                                                                 \
	"(?<!\\p{Nd})\\p{Nd}++(?![\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\p{L}\\p{M}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}" \
	"\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1"                                                                      \
	"f169}\\x{1f170}-\\x{1f189}])"
#define AFMOE_ASIAN                                                                                                  \
	"[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{30ff}\\x{ff65}-\\x{ff9f}\\x{2f00}-" \
	"\\x{2fdf}\\x{e40}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}\\x{a9e0}-\\x{a9ff}\\x{" \
	"ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+"
#define YOUTU_ASIAN                                                                                                  \
	"[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}" \
	"\\x{"                                                                                                       \
	"ff1a}\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|" KANJI_KANA

static const struct pre_row PRE[] = {
	{ .names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
	  .pattern = { "\\p{N}", GPT2 },
	  .nfc = "command-r" },
	{ .names = "gpt-2 phi-2 mpt olmo jais trillion gigachat jina-es jina-de a.x-4.0 mellum exaone4 granite-docling",
	  .pattern = { GPT2 },
	  .nfc = "mpt olmo" },
	{ .names = "roberta-bpe jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
	  .pattern = { GPT2 },
	  .strips_before = "<mask>" },
	{ .names = "modern-bert", .pattern = { GPT2 }, .nfc = "modern-bert", .strips_before = "[MASK]" },
	{ .names = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
	  .pattern = { CL100K("\\p{N}{1,3}") },
	  .ignore_merges = true,
	  .add_bos = true },
	{ .names = "dbrx smaug-bpe chatglm-bpe glm4", .pattern = { CL100K("\\p{N}{1,3}") } },
	{ .names = "minicpm5", .pattern = { "\\p{N}{1,3}", CL100K("\\p{N}+") }, .ignore_merges = true },
	{ .names = "jais-2", .pattern = { WORD "\\p{N}{1,3}|" OTHER "[\\r\\n]*|" CASCADE } },
	{ .names = "qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan grok-2 kormo f2llmv2 solar-open",
	  .pattern = { CL100K("\\p{N}") },
	  .nfc = "qwen2 deepseek-r1-qwen stablelm2 hunyuan f2llmv2" },
	{ .names = "qwen35",
	  .pattern = { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS
				   "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES SPACE_TAIL },
	  .nfc = "qwen35" },
	{ .names = "laguna", .pattern = { "[^\\n]+|\\n+", CL100K("\\p{N}") } },
	{ .names = "bailingmoe bailingmoe2 llada-moe",
	  .pattern = { WORD "\\p{N}|" OTHER "[\\r\\n]*|[" WS "]*[\\r\\n]|" SPACE_TAIL } },
	{ .names = "seed-coder", .pattern = { WORD "\\p{N}| ?[^" WS "\\p{L}\\p{N}\\r\\n]+|" LINES SPACE_TAIL } },
	/* Words that one space parts are one piece. */
	{ .names = "exaone-moe",
	  .pattern = { CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}(?:[\\p{L}\\p{M}]| (?=\\p{L}))*+|\\p{N}|" OTHER
				   "[\\r\\n/]?|[" WS "]*[\\r\\n]|" SPACE_TAIL } },
	{ .names = "gpt-4o llama4 kanana2 talkie minimax-m2", .pattern = { O200K(ENDING, "\\p{N}{1,3}") } },
	{ .names = "granite-embed-multi-97m", .pattern = { O200K(ENDING, "\\p{N}{1,3}") }, .ignore_merges = true },
	{ .names = "tekken", .pattern = { O200K("", "\\p{N}") }, .ignore_merges = true, .add_bos = true },
	{ .names = "tiny_aya cohere2moe",
	  .pattern = { DIGITS_ALONE, O200K(ENDING, "\\p{N}{1,3}") },
	  .by_three = 1,
	  .nfc = "tiny_aya cohere2moe" },
	{ .names = "kimi-k2",
	  .pattern = { "\\p{sc:Han}+|" CASED_WORDS(UPPER_NO_HAN, LOWER_NO_HAN,
						   ENDING) "\\p{N}{1,3}|" OTHER "[\\r\\n]*|" LINES SPACE_TAIL } },
	{ .names = "youtu", .pattern = { YOUTU_ASIAN, O200K(ENDING, "\\p{N}") }, .ignore_merges = true },
	{ .names = "deepseek-coder",
	  .pattern = { "[\\r\\n]", "[" WS "]?\\p{L}+", "[" WS "]?\\p{P}+", DEEPSEEK_CJK, "\\p{N}" } },
	{ .names = "deepseek-llm",
	  .pattern = { "[\\r\\n]", "[" WS "]?[" DEEPSEEK_CASED "]+",
		       "[" WS "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
		       "(?<![" WS "])[" WS "]+\\z", DEEPSEEK_CJK, "\\p{N}+" } },
	{ .names = "deepseek-v3 hunyuan-dense joyai-llm", .pattern = { "\\p{N}{1,3}", KANJI_KANA, DEEPSEEK_V3 } },
	{ .names = "afmoe", .pattern = { "\\p{N}+", AFMOE_ASIAN, DEEPSEEK_V3 }, .by_three = 1 },
	{ .names = "superbpe", .pattern = { "\\p{N}+", "\\p{Nd}+" }, .by_three = 2, .only_threes = true },
	{ .names = "bloom poro-chat gpt3-finnish", .pattern = { BLOOM } },
	{ .names = "viking", .pattern = { BLOOM, "\\p{N}" } },
	{ .names = "chameleon",
	  .pattern = { "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}", PUNCTUATION, GPT2 },
	  .add_bos = true },
	{ .names = "falcon", .pattern = { PUNCTUATION "++", GPT2, "[0-9][0-9][0-9]" } },
	{ .names = "default", .pattern = { "[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]" } },
};

static bool has_name(const char *names, const char *name, size_t n)
{
	for (; *names; names += *names == ' ') {
		size_t len = strcspn(names, " ");

		if (len == n && !memcmp(names, name, n))
			return true;
		names += len;
	}
	return false;
}

const struct pre_row *pre_find(const char *name)
{
	size_t n;

	if (!name || !*name)
		name = "default";
	n = strlen(name);
	for (size_t i = 0; i < sizeof(PRE) / sizeof(PRE[0]); i++)
		if (has_name(PRE[i].names, name, n))
			return &PRE[i];
	return NULL;
}

bool pre_is_nfc(const struct pre_row *row, const char *name)
{
	return name && row->nfc && has_name(row->nfc, name, strlen(name));
}

const struct pre_row *pre_row(uint32_t i)
{
	return i < sizeof(PRE) / sizeof(PRE[0]) ? &PRE[i] : NULL;
}
