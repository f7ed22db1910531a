/*
 * Prompts whose answers repeat much of them, and prompts whose answers don't. A seed fills in names, words and numbers, so that no
 * daemon has answered one of them before, and all modes of a repetition get the same.
 */
#include "tools/bench_spec.h"

#include <stdio.h>
#include <string.h>

#define RANDOM_WORDS 96u

/* {N0}: a name, the same wherever it stands in a prompt; {C0} a city, {W0} a thing, {V0} an identifier, {D0} a number, {Y0} a year. {R}
 * is words in any order. */
const struct spec_task spec_tasks[] = {
	{ "summary",
	  false,
	  { "Here is a report.\n\n\"The harbour of {C0} was closed for {D0} hours on Monday after a crane dropped a "
	    "load of {W0}s "
	    "into the basin. {N0} {N1}, who has run the harbour since {Y0}, said that nobody was hurt and that the "
	    "{W0}s will be "
	    "lifted by the end of the week. Two ships were sent to {C1} instead, which took in {D1} containers. The "
	    "owner of the "
	    "crane, a company of {C2}, was told of the fault in {Y1} and promised to repair it. An inspector will "
	    "visit the harbour "
	    "of {C0} next month.\"\n\nSummarize the report by quoting its most important sentences word for word.",
	    "Read the letter.\n\n\"Dear {N0}, the roof of the school in {C0} has let in the rain since {Y0}. We have "
	    "asked three firms "
	    "what a new roof would cost, and the cheapest, from {C1}, wants {D0} thousand. The parents have collected "
	    "{D1} hundred by "
	    "selling {W0}s and {W1}s at the market. {N1} has offered to lend us the rest, to be paid back within {D2} "
	    "months. The "
	    "council of {C0} will decide on the loan in the first week of May. Yours, {N2}\"\n\nSummarize the letter, "
	    "and quote every "
	    "sentence that has a number in it, word for word.",
	    "An article:\n\n\"Researchers of the university of {C0} have found a {W0} that is {D0} hundred years old. "
	    "It lay {D1} "
	    "metres below a field near {C1}, where {N0} was digging a well. Until {Y0} nobody believed that people had "
	    "lived there. "
	    "{N1}, who leads the group, calls the {W0} the best preserved of its kind. It will be shown in the museum "
	    "of {C2} beside "
	    "a {W1} that was found in {Y1}. Entry is free for children.\"\n\nFirst quote the article's first three "
	    "sentences exactly, "
	    "then say in one sentence what they mean.",
	    "Minutes of the meeting in {C0}:\n\n\"{N0} opened the meeting and read the minutes of the last one. {N1} "
	    "reported that {D0} "
	    "{W0}s had been sold in {Y0}, {D1} more than in the year before. {N2} asked why the {W1}s had not been "
	    "delivered to {C1}. {N1} "
	    "said that the truck had broken down near {C2}. It was decided to buy a new truck for no more than {D2} "
	    "thousand. {N0} closed "
	    "the meeting.\"\n\nList what was decided and reported, each point as a quotation of the minutes." } },
	{ "code edit",
	  false,
	  { "Rename the variable {V0} to {V1} in this program, and print the whole program.\n\n```python\ndef "
	    "total(items, rate):\n    "
	    "{V0} = 0\n    for item in items:\n        if item.price > {D0}:\n            {V0} += item.price * rate\n  "
	    "      else:\n"
	    "            {V0} += item.price\n    return {V0}\n\n\ndef report(items):\n    for item in items:\n        "
	    "print(item.name, "
	    "item.price)\n    print(\"{W0}\", total(items, {D1}))\n```",
	    "Change the constant {D0} to {D1} everywhere in this file and show the complete file.\n\n```c\n#include "
	    "<stdio.h>\n\nstatic "
	    "int {V0}[{D0}];\n\nint main(void)\n{\n\tint {V1} = 0;\n\n\tfor (int i = 0; i < {D0}; i++)\n\t\t{V0}[i] = "
	    "i * i;\n\tfor (int "
	    "i = 0; i < {D0}; i++)\n\t\t{V1} += {V0}[i];\n\tprintf(\"{W0}: %d\\n\", {V1});\n\treturn 0;\n}\n```",
	    "Add a method called {V1} that returns self.{V0} to this class. Print the whole class.\n\n```python\nclass "
	    "Account:\n    def "
	    "__init__(self, owner, {V0}={D0}):\n        self.owner = owner\n        self.{V0} = {V0}\n        "
	    "self.history = []\n\n    def "
	    "deposit(self, amount):\n        self.{V0} += amount\n        self.history.append((\"deposit\", "
	    "amount))\n\n    def "
	    "withdraw(self, amount):\n        self.{V0} -= amount\n        self.history.append((\"withdraw\", "
	    "amount))\n```",
	    "In this function, rename {V0} to {V1}. Repeat the function with that change "
	    "only.\n\n```javascript\nfunction "
	    "group(rows) {\n  const {V0} = new Map();\n  for (const row of rows) {\n    const key = row.{V2} + "
	    "\"{W0}\";\n    if "
	    "(!{V0}.has(key)) {\n      {V0}.set(key, []);\n    }\n    {V0}.get(key).push(row);\n  }\n  return "
	    "{V0};\n}\n```" } },
	{ "extraction",
	  false,
	  { "{N0} from {C0} ordered {D0} {W0}s in {Y0}. {N1} from {C1} ordered {D1} {W1}s in {Y1}. {N2} from {C2} "
	    "ordered {D2} {W2}s in "
	    "{Y2}. {N3} from {C3} ordered {D3} {W3}s in {Y3}.\n\nWrite the orders as a JSON list of objects with the "
	    "keys \"name\", "
	    "\"city\", \"amount\", \"article\" and \"year\".",
	    "name: {N0}, city: {C0}, born: {Y0}\nname: {N1}, city: {C1}, born: {Y1}\nname: {N2}, city: {C2}, born: "
	    "{Y2}\nname: {N3}, "
	    "city: {C3}, born: {Y3}\n\nTurn these lines into JSON, an array with one object for each line.",
	    "Extract from the text all persons as JSON, with \"person\", \"place\" and \"since\".\n\nText: {N0} has "
	    "lived in {C0} since "
	    "{Y0}, next door to {N1}, who came to {C0} in {Y1}. Their friend {N2} moved to {C1} in {Y2}, and {N3} has "
	    "been in {C2} "
	    "since {Y3}.",
	    "Invoice {D0}\n{W0}: {D1}\n{W1}: {D2}\n{W2}: {D3}\nBuyer: {N0}, {C0}\nSeller: {N1}, {C1}\nDate: "
	    "{Y0}\n\nGive the invoice as "
	    "one JSON object with the keys \"number\", \"items\", \"buyer\", \"seller\" and \"date\"." } },
	{ "chat",
	  false,
	  { "My name is {N0}. How do I best travel from {C0} to {C1} with a {W0}?",
	    "Why do people collect {W0}s, and what should I pay for one in {C0}?",
	    "I have {D0} minutes and a {W0}. What can I cook for {N0} and {N1}?",
	    "What happened in {C0} in {Y0}? Give me three ideas for a talk about it." } },
	{ "story",
	  false,
	  { "Write a story about {N0}, who finds a {W0} in {C0}.",
	    "Tell me a fairy tale with a {W0}, a {W1} and a king of {C0}.",
	    "Write the first page of a novel that begins in {C0} in {Y0}. {N0} is waiting for {N1}.",
	    "Write a letter from {N0} to {N1} about a journey to {C0} with {D0} {W0}s." } },
	{ "random", true, { "{R}", "{R}", "{R}", "{R}" } },
};

const uint32_t n_spec_task = sizeof(spec_tasks) / sizeof(spec_tasks[0]);

static const char *const names[] = { "Anna",  "Boris", "Clara", "David", "Elena",  "Farid", "Greta", "Hugo",
				     "Irene", "Jonas", "Keiko", "Lucas", "Mirjam", "Nadia", "Oskar", "Priya" };
static const char *const cities[] = { "Lisbon", "Bergen", "Tallinn", "Osaka", "Quito", "Halifax", "Tunis",  "Graz",
				      "Porto",  "Cork",   "Lima",    "Riga",  "Perth", "Gdansk",  "Zagreb", "Accra" };
static const char *const things[] = {
	"lamp",   "kettle", "violin", "basket",  "clock",  "carpet", "bicycle", "mirror",
	"ladder", "barrel", "teapot", "compass", "saddle", "anchor", "lantern", "pillow"
};
static const char *const identifiers[] = { "total_sum", "counter",  "balance",  "buckets", "weight", "result_set",
					   "offset",    "cursor",   "capacity", "segment", "amount", "registry",
					   "checksum",  "interval", "fraction", "window" };

/* Different digits of a kind are different words. */
static int write_slot(char *to, size_t size, char kind, uint32_t digit, uint64_t seed)
{
	uint64_t x = scatter(seed + (uint64_t)kind);
	uint32_t i = (uint32_t)(x + digit * (x >> 32 | 1)) % 16;

	switch (kind) {
	case 'N':
		return snprintf(to, size, "%s", names[i]);
	case 'C':
		return snprintf(to, size, "%s", cities[i]);
	case 'W':
		return snprintf(to, size, "%s", things[i]);
	case 'V':
		return snprintf(to, size, "%s", identifiers[i]);
	case 'Y':
		return snprintf(to, size, "%u", (unsigned)(1900 + scatter(x + digit) % 125));
	default:
		return snprintf(to, size, "%u", (unsigned)(11 + scatter(x + digit) % 889));
	}
}

static size_t write_words(char *to, size_t size, uint64_t seed)
{
	static const char *const *const list[] = { names, cities, things, identifiers };
	size_t n = 0;

	for (uint32_t i = 0; i < RANDOM_WORDS; i++) {
		uint64_t x = scatter(seed + i);

		n += (size_t)snprintf(to + n, size - n, "%s%s", i ? " " : "", list[x >> 8 & 3][x & 15]);
	}
	return n;
}

size_t spec_task_write(const struct spec_task *t, uint64_t seed, char *text)
{
	uint64_t x = scatter(seed);
	size_t n = 0, size = SPEC_PROMPT_BYTES;

	for (const char *at = t->prompt[x % SPEC_PROMPTS]; *at;) {
		if (!strncmp(at, "{R}", 3)) {
			n += write_words(text + n, size - n, x);
			at += 3;
		} else if (*at == '{' && at[1] >= 'A' && at[1] <= 'Z' && at[2] && at[3] == '}') {
			n += (size_t)write_slot(text + n, size - n, at[1], (uint32_t)(at[2] - '0'), x);
			at += 4;
		} else {
			text[n++] = *at++;
		}
	}
	text[n] = 0;
	return n;
}
