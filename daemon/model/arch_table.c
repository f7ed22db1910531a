#include "daemon/model/arch.h"

#include "daemon/model/hparams.h"

#include <errno.h>

extern const struct arch arch_llama, arch_apertus, arch_cohere2, arch_ernie4_5, arch_ernie4_5_moe, arch_exaone4,
	arch_gemma2, arch_gemma3, arch_gemma4, arch_glm4, arch_glm4moe, arch_gpt_oss, arch_granite, arch_granitemoe,
	arch_hunyuan_dense, arch_hunyuan_moe, arch_lfm2, arch_lfm2moe, arch_llama4, arch_minimax_m2, arch_mistral3,
	arch_olmo2, arch_phi3, arch_qwen2, arch_qwen2moe, arch_qwen2vl, arch_qwen3, arch_qwen35, arch_qwen35moe,
	arch_qwen3moe, arch_qwen3next, arch_qwen3vl, arch_seed_oss, arch_smollm3, arch_starcoder2, arch_mamba,
	arch_mamba2, arch_granitehybrid, arch_falcon_h1, arch_nemotron_h, arch_rwkv6, arch_rwkv7;

static const struct arch *const table[] = {
	&arch_llama,       &arch_apertus, &arch_cohere2,       &arch_ernie4_5,   &arch_ernie4_5_moe,
	&arch_exaone4,     &arch_gemma2,  &arch_gemma3,        &arch_gemma4,     &arch_glm4,
	&arch_glm4moe,     &arch_gpt_oss, &arch_granite,       &arch_granitemoe, &arch_hunyuan_dense,
	&arch_hunyuan_moe, &arch_lfm2,    &arch_lfm2moe,       &arch_llama4,     &arch_minimax_m2,
	&arch_mistral3,    &arch_olmo2,   &arch_phi3,          &arch_qwen2,      &arch_qwen2moe,
	&arch_qwen2vl,     &arch_qwen3,   &arch_qwen35,        &arch_qwen35moe,  &arch_qwen3moe,
	&arch_qwen3next,   &arch_qwen3vl, &arch_seed_oss,      &arch_smollm3,    &arch_starcoder2,
	&arch_mamba,       &arch_mamba2,  &arch_granitehybrid, &arch_falcon_h1,  &arch_nemotron_h,
	&arch_rwkv6,       &arch_rwkv7,
};

const struct arch *arch_at(size_t i)
{
	return i < sizeof(table) / sizeof(table[0]) ? table[i] : NULL;
}

static int refuse(struct gguf_str name, struct error *e)
{
	return error_set(
		e, -ENOTSUP,
		"architecture \"%.*s\" is not one that gyre runs; use a model of another (gyre inspect, without a "
		"file, lists the %zu that it runs)",
		(int)(name.n < 40 ? name.n : 40), name.p, sizeof(table) / sizeof(table[0]));
}

static int find(const struct arch **arch, const struct gguf *g, struct error *e)
{
	struct gguf_str name;

	if (gguf_get_str(g, "general.architecture", &name) < 0)
		return error_set(e, -EINVAL, "the file does not say its architecture (general.architecture)");
	for (size_t i = 0; arch_at(i); i++)
		if (gguf_str_eq(name, table[i]->name)) {
			*arch = table[i];
			return 0;
		}
	return refuse(name, e);
}

int arch_read(const struct arch **arch, struct hparams *hp, const struct gguf *g, struct error *e)
{
	int r = find(arch, g, e);

	return r == 0 ? hparams_read(hp, g, *arch, e) : r;
}
