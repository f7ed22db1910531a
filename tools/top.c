/*
 * `gyre top`: who uses a daemon, live. A terminal of any size from 20 columns on; it is given back as it was, whatever signal
 * ends this. With --once, or where there is no terminal, one picture as text.
 */
#include "tools/tool.h"
#include "tools/top_view.h"
#include "tools/watch.h"

#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH     80u  /* of text */
#define WIDTH_MAX 512u /* of a terminal */

static struct top_view view;
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	ended = number;
}

/* ---- once ---- */

static int print_once(const struct args *a, float seconds)
{
	char line[WIDTH + 1];
	int code = top_read(&view, a);

	watch_sleep(seconds);
	if (code == TOOL_OK)
		code = top_read(&view, a);
	for (uint32_t i = 0; code == TOOL_OK && top_line(&view, i, line, WIDTH); i++)
		puts(line);
	return code;
}

/* ---- live ---- */

/* The last line is for the keys. */
static void draw(void)
{
	static const char keys[] = "q leave  u users  s sessions  order: t tokens p prompt r requests l live i number";
	int height = LINES > 1 ? LINES - 1 : LINES;
	uint32_t width = (uint32_t)COLS < WIDTH_MAX ? (uint32_t)COLS : WIDTH_MAX;
	char line[WIDTH_MAX + 1];

	erase();
	for (int i = 0; i < height && top_line(&view, (uint32_t)i, line, width); i++)
		mvaddnstr(i, 0, line, (int)width);
	if (LINES > 1) {
		attron(A_REVERSE);
		mvaddnstr(LINES - 1, 0, keys, (int)width - 1); /* a character in the last corner would scroll */
		attroff(A_REVERSE);
	}
	refresh();
}

/* false: leave. */
static bool on_key(int key)
{
	static const char letters[] = "tprli"; /* as enum top_order has them */
	const char *at = key > 0 && key < 128 ? strchr(letters, key) : NULL;

	if (key == 'q')
		return false;
	if (key == 'u' || key == 's')
		view.by_session = key == 's';
	else if (at)
		view.order = (enum top_order)(at - letters);
	top_sort(&view);
	return true;
}

/* Until the next reading is due, or it is to end. false: it is. */
static bool attend(double until_s)
{
	while (!ended) {
		double left = until_s - now_s();
		int key;

		if (left <= 0)
			return true;
		timeout((int)(left * 1e3) + 1);
		key = getch(); /* KEY_RESIZE when the window has another size: ncurses knows it by then */
		if (key == ERR)
			continue;
		if (!on_key(key))
			return false;
		draw();
	}
	return false;
}

static void catch_signals(void)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
}

static int run_live(const struct args *a, float seconds)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);
	int code =
		screen ? TOOL_OK
		       : fail(TOOL_FAILED, "this terminal is unknown (TERM=%s); try gyre top --once", getenv("TERM"));
	bool goes_on = screen;

	if (!screen)
		return code;
	catch_signals();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	while (goes_on && code == TOOL_OK) {
		code = top_read(&view, a);
		if (code != TOOL_OK)
			break;
		draw();
		goes_on = attend(view.now.at_s + (double)seconds);
	}
	endwin();
	delscreen(screen);
	if (code != TOOL_OK) /* what was said of it went with the picture */
		fail(code, "the daemon has gone, or does not answer");
	return ended == SIGINT ? 130 : code;
}

int top_main(const struct args *a)
{
	float seconds = a->watch_s > 0 ? a->watch_s : 1;
	bool is_live = !a->once && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
	int code;

	view.order = a->sort ? top_order_of(a->sort) : TOP_TOKENS;
	if (view.order == TOP_ORDER_MAX)
		return fail(TOOL_USAGE, "--sort: '%s' is none of tokens, prompt, requests, live, id", a->sort);
	code = is_live ? run_live(a, seconds) : print_once(a, seconds);
	top_free(&view);
	return code;
}
