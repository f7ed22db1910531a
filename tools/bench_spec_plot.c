/* The curve as an SVG: two lines, measured and expected, over the probability that a guess is right. */
#include "tools/bench_spec.h"

#include <errno.h>
#include <math.h>

#define WIDTH  720
#define HEIGHT 480
#define LEFT   70.0 /* of the axes, and so on */
#define RIGHT  690.0
#define TOP    50.0
#define BOTTOM 420.0

struct plot {
	FILE *f;
	double top; /* the speed-up at TOP */
};

static double x_of(double alpha)
{
	return LEFT + alpha * (RIGHT - LEFT);
}

static double y_of(const struct plot *p, double speedup)
{
	return BOTTOM - speedup / p->top * (BOTTOM - TOP);
}

static void put_text(FILE *f, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		default:
			fputc(*text, f);
		}
}

static void put_axes(const struct plot *p)
{
	double step = p->top > 8 ? 2 : p->top > 3 ? 1 : 0.5;

	for (double y = 0; y <= p->top + 1e-9; y += step)
		fprintf(p->f,
			"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
			"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
			LEFT, RIGHT, y_of(p, y), y_of(p, y), LEFT - 8, y_of(p, y) + 4, y);
	for (int i = 0; i <= 10; i++)
		fprintf(p->f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n", x_of(i / 10.0),
			BOTTOM + 20, i / 10.0);
	fprintf(p->f,
		"<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"black\"/>\n"
		"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#888\"/>\n",
		LEFT, TOP, BOTTOM, RIGHT, LEFT, RIGHT, y_of(p, 1), y_of(p, 1));
	fprintf(p->f,
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">probability that a guess is right</text>\n"
		"<text transform=\"translate(22 %.1f) rotate(-90)\" text-anchor=\"middle\">tokens a second, times "
		"those "
		"without guesses</text>\n",
		(LEFT + RIGHT) / 2, HEIGHT - 18, (TOP + BOTTOM) / 2);
}

static void put_line(const struct plot *p, const struct spec_point *point, uint32_t n, bool is_measured)
{
	const char *colour = is_measured ? "#1f5fa8" : "#c8641e";

	fprintf(p->f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s points=\"", colour,
		is_measured ? "" : " stroke-dasharray=\"6 4\"");
	for (uint32_t i = 0; i < n; i++)
		fprintf(p->f, "%s%.1f,%.1f", i ? " " : "", x_of(point[i].alpha),
			y_of(p, is_measured ? point[i].speedup : point[i].predicted));
	fputs("\"/>\n", p->f);
	for (uint32_t i = 0; i < n && is_measured; i++)
		fprintf(p->f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x_of(point[i].alpha),
			y_of(p, point[i].speedup), colour);
}

static void put_legend(const struct plot *p, double y, bool is_measured)
{
	fprintf(p->f,
		"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\"%s/>\n"
		"<text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
		LEFT + 20, LEFT + 50, y, y, is_measured ? "#1f5fa8" : "#c8641e",
		is_measured ? "" : " stroke-dasharray=\"6 4\"", LEFT + 58, y + 4,
		is_measured ? "measured" : "expected by the model of cost");
}

int spec_plot_write(const char *path, const struct spec_point *point, uint32_t n, const char *title)
{
	struct plot p = { .f = fopen(path, "w"), .top = 1.5 };
	bool is_bad;

	if (!p.f)
		return -errno;
	for (uint32_t i = 0; i < n; i++)
		p.top = fmax(p.top, ceil(fmax(point[i].speedup, point[i].predicted)));
	fprintf(p.f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
		"font-family=\"sans-serif\" font-size=\"13\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%.1f\" y=\"28\" "
		"font-size=\"15\">Speed-up "
		"by guesses: ",
		WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
	put_text(p.f, title);
	fputs("</text>\n", p.f);
	put_axes(&p);
	put_line(&p, point, n, false);
	put_line(&p, point, n, true);
	put_legend(&p, TOP + 16, true);
	put_legend(&p, TOP + 38, false);
	fputs("</svg>\n", p.f);
	is_bad = ferror(p.f);
	return fclose(p.f) != 0 || is_bad ? -EIO : 0;
}
