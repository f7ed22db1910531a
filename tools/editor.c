#include "tools/editor.h"
#include "tools/history.h"
#include "tools/tool.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define PASTE_ON    "\033[?2004h"
#define PASTE_OFF   "\033[?2004l"
#define PASTE_BEGIN "\033[200~"
#define PASTE_END   L"\033[201~"
#define N_PASTE_END 6u

struct editor {
	EditLine *el;
	History *history;
	HistEvent event;
	FILE *out;
	const char *prompt;
	char path[4096]; /* of the history; "": none is kept */
	struct termios cooked;
	unsigned char in[4096]; /* read, and not yet taken */
	size_t at, n;
	bool is_interrupted;
	wchar_t *paste;
	size_t n_paste, paste_max;
};

static volatile sig_atomic_t is_resized, is_stopped;
static const struct editor *terminal; /* what a signal that ends the tool gives back to the shell */

static void on_signal(int number)
{
	if (number == SIGWINCH)
		is_resized = 1;
	else
		is_stopped = 1;
}

/* The tool ends by the same signal, once the terminal is as it was. */
static void on_end(int number)
{
	if (terminal) {
		(void)!write(fileno(terminal->out), PASTE_OFF, sizeof(PASTE_OFF) - 1);
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal->cooked);
	}
	raise(number); /* SA_RESETHAND: with its default effect */
}

/* Of the signals that end a program, those that it does not ignore, as under nohup. */
static void watch_end(const struct editor *e)
{
	static const int number[] = { SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction ends = { .sa_handler = on_end, .sa_flags = SA_RESETHAND }, old;

	terminal = e;
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		if (sigaction(number[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(number[i], &ends, NULL);
}

int editor_refuse_cut(void)
{
	return fail(TOOL_FAILED,
		    "this terminal cuts lines at %d bytes, so the line is not sent: give it through a pipe, or "
		    "set TERM to what the terminal is",
		    TTY_LINE_MAX);
}

static char *show_prompt(EditLine *el)
{
	struct editor *e;

	el_get(el, EL_CLIENTDATA, &e);
	return (char *)e->prompt;
}

static void put(struct editor *e, const char *escape)
{
	fputs(escape, e->out);
	fflush(e->out);
}

/* Ctrl-Z: the shell gets its terminal back as it was. */
static void stop(struct editor *e)
{
	is_stopped = 0;
	el_set(e->el, EL_PREP_TERM, 0);
	put(e, PASTE_OFF);
	raise(SIGSTOP);
	put(e, PASTE_ON);
	el_set(e->el, EL_PREP_TERM, 1);
	el_set(e->el, EL_REFRESH);
}

/* Waits for bytes; signals come in here and nowhere else. false: Ctrl-C, the end, or an error. */
static bool fill(struct editor *e)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t block, open;
	ssize_t n = -1;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGWINCH);
	sigaddset(&block, SIGTSTP);
	sigprocmask(SIG_BLOCK, &block, &open);
	while (n < 0 && !(e->is_interrupted = answer_take_interrupt())) {
		if (is_stopped) {
			sigprocmask(SIG_SETMASK, &open, NULL);
			stop(e);
			sigprocmask(SIG_BLOCK, &block, NULL);
		}
		if (is_resized) {
			is_resized = 0;
			el_resize(e->el);
			el_set(e->el, EL_REFRESH);
		}
		if (ppoll(&p, 1, NULL, &open) > 0)
			n = read(STDIN_FILENO, e->in, sizeof(e->in));
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			break;
	}
	sigprocmask(SIG_SETMASK, &open, NULL);
	e->at = 0;
	e->n = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* libedit's way to a character. A byte that is no UTF-8 becomes the sign for it: a prompt is text. */
static int get_char(EditLine *el, wchar_t *c)
{
	struct editor *e;
	mbstate_t state = { 0 };

	el_get(el, EL_CLIENTDATA, &e);
	for (;;) {
		size_t r;

		if (e->at == e->n && !fill(e))
			return e->is_interrupted ? -1 : 0;
		r = mbrtowc(c, (const char *)&e->in[e->at++], 1, &state);
		if (r == (size_t)-2)
			continue;
		if (r == (size_t)-1)
			*c = 0xfffd;
		return 1;
	}
}

static bool paste_add(struct editor *e, wchar_t c)
{
	if (e->n_paste + 1 >= e->paste_max) {
		size_t max = e->paste_max ? 2 * e->paste_max : 4096;
		wchar_t *more = realloc(e->paste, max * sizeof(*more));

		if (!more)
			return false;
		e->paste = more;
		e->paste_max = max;
	}
	e->paste[e->n_paste++] = c;
	return true;
}

static bool is_line_end(wchar_t c)
{
	return c == L'\r' || c == L'\n';
}

/* Terminals send a carriage return for a line end, some with a line feed, and libedit has the kernel exchange the two. */
static void mend_line_ends(struct editor *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_paste; i++) {
		wchar_t c = e->paste[i], next = i + 1 < e->n_paste ? e->paste[i + 1] : 0;

		if (c)
			e->paste[n++] = is_line_end(c) ? L'\n' : c;
		i += is_line_end(c) && is_line_end(next) && c != next;
	}
	e->paste[n] = 0;
	e->n_paste = n;
}

static bool ends_paste(const struct editor *e)
{
	return e->n_paste >= N_PASTE_END && !wmemcmp(e->paste + e->n_paste - N_PASTE_END, PASTE_END, N_PASTE_END);
}

/* Bound to the mark that a terminal puts in front of a paste. */
static unsigned char take_paste(EditLine *el, int first)
{
	struct editor *e;
	wchar_t c;

	(void)first;
	el_get(el, EL_CLIENTDATA, &e);
	e->n_paste = 0;
	do {
		if (el_wgetc(el, &c) != 1)
			return CC_EOF;
		if (!paste_add(e, c))
			return CC_ERROR;
	} while (!ends_paste(e));
	e->n_paste -= N_PASTE_END;
	mend_line_ends(e);
	if (e->n_paste && el_winsertstr(el, e->paste) < 0)
		return CC_ERROR;
	return CC_REFRESH;
}

/* Lines typed while a model loads or an answer runs are neither cut nor shown: they wait for the next prompt. */
static void be_quiet(const struct editor *e)
{
	struct termios t = e->cooked;

	t.c_iflag &= ~(tcflag_t)ICRNL;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

static void open_history(struct editor *e)
{
	int r = history_path(e->path, sizeof(e->path));

	if (r == 0)
		r = history_append(e->path, NULL);
	if (r < 0) {
		fprintf(stderr, "gyre: what you type is not kept: %s: %s (--no-history says so, too)\n",
			*e->path ? e->path : "no HOME", strerror(-r));
		e->path[0] = 0;
		return;
	}
	/* Twice the length: cut it. */
	if (history(e->history, &e->event, H_LOAD, e->path) > 2 * HISTORY_MAX)
		history(e->history, &e->event, H_SAVE, e->path);
}

/* Text is UTF-8 to a model, whatever the locale calls itself. */
static void take_utf8(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

static void set_keys(struct editor *e)
{
	el_set(e->el, EL_CLIENTDATA, e);
	el_set(e->el, EL_EDITOR, "emacs");
	el_set(e->el, EL_SIGNAL, 0);
	el_set(e->el, EL_HIST, history, e->history);
	el_set(e->el, EL_PROMPT, show_prompt);
	el_set(e->el, EL_GETCFN, get_char);
	el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(e->el, NULL);
	/* In wide characters, for of narrow ones libedit makes copies that it never frees. */
	el_wset(e->el, EL_ADDFN, L"gyre-paste", L"insert a paste", take_paste);
	el_set(e->el, EL_BIND, PASTE_BEGIN, "gyre-paste", NULL);
}

struct editor *editor_open(FILE *out, bool has_history)
{
	const char *term = getenv("TERM");
	struct sigaction resized = { .sa_handler = on_signal };
	struct editor *e;

	if (!term || !*term || !strcmp(term, "dumb") || !isatty(STDIN_FILENO) || !isatty(fileno(out)))
		return NULL;
	e = calloc(1, sizeof(*e));
	if (!e || tcgetattr(STDIN_FILENO, &e->cooked) < 0) {
		free(e);
		return NULL;
	}
	take_utf8();
	e->out = out;
	e->history = history_init();
	e->el = el_init("gyre", stdin, out, stderr);
	if (!e->history || !e->el) {
		editor_close(e);
		return NULL;
	}
	history(e->history, &e->event, H_SETSIZE, HISTORY_MAX);
	history(e->history, &e->event, H_SETUNIQUE, 1);
	set_keys(e);
	if (has_history)
		open_history(e);
	sigaction(SIGWINCH, &resized, NULL);
	watch_end(e);
	be_quiet(e);
	put(e, PASTE_ON);
	return e;
}

void editor_close(struct editor *e)
{
	if (!e)
		return;
	terminal = NULL;
	if (e->el) {
		put(e, PASTE_OFF);
		el_end(e->el);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &e->cooked);
	}
	if (e->history)
		history_end(e->history);
	free(e->paste);
	free(e);
}

enum editor_outcome editor_read(struct editor *e, const char *prompt, const char **line, size_t *n)
{
	struct sigaction stopped = { .sa_handler = on_signal }, old;
	int got;

	e->prompt = prompt;
	e->is_interrupted = false;
	sigaction(SIGTSTP, &stopped, &old);
	*line = el_gets(e->el, &got);
	sigaction(SIGTSTP, &old, NULL);
	be_quiet(e);
	if (!*line || got <= 0) {
		put(e, "\n");
		return e->is_interrupted ? EDITOR_INTERRUPT : EDITOR_END;
	}
	*n = (size_t)got;
	while (*n && (*line)[*n - 1] == '\n')
		--*n;
	return EDITOR_LINE;
}

void editor_remember(struct editor *e, const char *message)
{
	history(e->history, &e->event, H_ENTER, message);
	if (*e->path)
		history_append(e->path, message);
}
