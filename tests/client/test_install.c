/*
 * Why: what a stranger gets is not the build tree but what `make install` puts down. Programs in two languages, and both
 * examples, are built against that by pkg-config alone, with the shared library and the static one, and one of them is run.
 */
#include "tests/daemon/appliance.h"
#include "tests/util/sanitized.h"

#include <sys/wait.h>

static char root[64];

/* A shell command in the top folder; $R is where things were installed. */
static void run(const char *command)
{
	int status;

	setenv("R", root, 1);
	status = system(command);
	if (status)
		fail_msg("exit %d: %s", WIFEXITED(status) ? WEXITSTATUS(status) : -1, command);
}

static int setup(void **state)
{
	(void)state;
	if (is_sanitized("a library with sanitizers is not for installing"))
		return 0;
	strcpy(root, "/tmp/gyre-install-XXXXXX");
	assert_non_null(mkdtemp(root));
	setenv("PKG_CONFIG_PATH", "", 1);
	run("env -u MAKEFLAGS -u MAKELEVEL make -s BUILD=${BUILD:-build} DESTDIR=$R PREFIX=/usr install >$R/log 2>&1 "
	    "|| { cat "
	    "$R/log; exit 1; }");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (*root)
		run("rm -rf $R");
	return 0;
}

#define PKG_CONFIG "PKG_CONFIG_LIBDIR=$R/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$R pkg-config"
#define SHARED     "$(" PKG_CONFIG " --cflags --libs gyre)"
#define STATIC     "$(" PKG_CONFIG " --cflags gyre) $R/usr/lib/libgyre.a"

static void consumers_build(void **state)
{
	static const char *const kind[] = { SHARED, STATIC };

	(void)state;
	if (!*root)
		skip();
	for (int i = 0; i < 2; i++) {
		setenv("KIND", i ? "static" : "shared", 1);
		for (int k = 0; k < 5; k++) {
			static const char *const build[] = {
				"${CC:-cc} -std=c11 -Wall -Wextra -Werror -o $R/hello-$KIND client/examples/hello.c ",
				"${CC:-cc} -std=c11 -Wall -Wextra -Werror -D_GNU_SOURCE -o $R/epoll-$KIND "
				"client/examples/epoll.c ",
				"${CC:-cc} -std=c11 -Wall -Wextra -Werror -o $R/fork-$KIND client/examples/fork.c ",
				"${CC:-cc} -std=c11 -Wall -Wextra -Werror -o $R/classify-$KIND "
				"client/examples/classify.c -lm ",
				"printf '#include <gyre.h>\\nint main() { gyre *g = nullptr; return gyre_connect(&g, "
				"\"/none\", "
				"nullptr) < 0 ? 0 : 1; }\\n' >$R/c.cc && ${CXX:-c++} -std=c++17 -Wall -Wextra -Werror "
				"-o "
				"$R/cxx-$KIND "
				"$R/c.cc "
			};
			char command[1024];

			if (k == 4 && system("command -v ${CXX:-c++} >/dev/null") != 0) {
				puts("skip: no C++ compiler");
				continue;
			}
			snprintf(command, sizeof(command), "%s%s", build[k], kind[i]);
			run(command);
		}
	}
	run("! test -e $R/cxx-static || $R/cxx-static");
	run("! test -e $R/cxx-shared || LD_LIBRARY_PATH=$R/usr/lib $R/cxx-shared");
}

/* By the name that a program built against it asks for, and answered by a daemon. */
static void an_example_runs(void **state)
{
	static struct appliance a;

	(void)state;
	if (!*root)
		skip();
	appliance_open(&a, &tiny_served, NULL, true);
	setenv("GYRE_SOCKET", a.socket, 1);
	run("LD_LIBRARY_PATH=$R/usr/lib $R/hello-shared hi >$R/said && test -s $R/said");
	run("$R/hello-static hi >$R/said && test -s $R/said");
	run("LD_LIBRARY_PATH=$R/usr/lib $R/epoll-shared >$R/said && test -s $R/said");
	run("LD_LIBRARY_PATH=$R/usr/lib $R/fork-shared >$R/said && test $(grep -c ^way $R/said) = 3 && "
	    "test $(grep -c '^label.* [45][0-9] tokens' $R/said) = 3");
	unsetenv("GYRE_SOCKET");
	appliance_close(&a);
	run("! $R/hello-static hi 2>$R/said && grep -q 'no gyred listens here' $R/said");
}

/* Nothing in them is unknown to systemd, what they start is there, and what is left open is what the service's comments explain. */
static void units_are_sound(void **state)
{
	(void)state;
	if (!*root)
		skip();
	run("! grep -r '@[A-Z]*@' $R/usr/lib/systemd $R/usr/lib/sysusers.d $R/usr/lib/tmpfiles.d");
	run("test -f $R/etc/gyre/gyred.conf && test -x $R/usr/sbin/gyred");
	if (system("systemd-analyze --version >/dev/null 2>&1") != 0) {
		puts("skip: units are looked at by systemd-analyze, which is missing (apt install systemd)");
		skip();
	}
	run("sed -i \"s|/usr/sbin/gyred|$R/usr/sbin/gyred|\" $R/usr/lib/systemd/system/gyred*.service");
	for (int i = 0; i < 2; i++) {
		setenv("NAME", i ? "gyred@one" : "gyred", 1);
		run("cd $R/usr/lib/systemd/system && SYSTEMD_UNIT_PATH=$R/usr/lib/systemd/system: systemd-analyze "
		    "verify --man=no ./$NAME.service "
		    "./$NAME.socket >$R/said 2>&1; ! grep gyre $R/said");
	}
	run("sed -i \"s|/usr/bin/gyre|$R/usr/bin/gyre|\" $R/usr/lib/systemd/system/gyred-hugepages.service");
	run("cd $R/usr/lib/systemd/system && SYSTEMD_UNIT_PATH=$R/usr/lib/systemd/system: systemd-analyze "
	    "verify --man=no ./gyred-hugepages.service ./gyre.slice >$R/said 2>&1; ! grep gyre $R/said");
	run("cd $R/usr/lib/systemd/system && systemd-analyze security --offline=yes --threshold=7 ./gyred.service "
	    ">$R/said");
	run("cd $R/usr/lib/systemd/system && systemd-analyze security --offline=yes --threshold=20 "
	    "./gyred-hugepages.service >$R/said");
	run("$R/usr/sbin/gyred --config $R/etc/gyre/gyred.conf 2>$R/said; test $? = 1 && "
	    "grep -q /var/lib/gyre/model.gguf $R/said");
}

static void exports_are_the_map(void **state)
{
	(void)state;
	if (!*root)
		skip();
	run("nm -D --defined-only $R/usr/lib/libgyre.so | grep ' T ' | sed 's/.* T //; s/@.*//' | sort >$R/exported && "
	    "grep -oE 'gyre_[a-z_]+;' client/gyre.map | tr -d ';' | sort | diff - $R/exported");
	run("! nm -D --defined-only $R/usr/lib/libgyre.so | grep -E ' [BDRVW] '");
	run("nm -g --defined-only $R/usr/lib/libgyre.a | sed -n 's/^[0-9a-f]* [A-Z] //p' | sort | diff $R/exported -");
	/* It links libc alone, so that a program which uses it brings nothing else along. */
	run("test \"$(objdump -p $R/usr/lib/libgyre.so | grep -c NEEDED)\" = 1");
}

static void every_symbol_has_its_page(void **state)
{
	(void)state;
	if (!*root)
		skip();
	run("for s in $(grep -oE 'gyre_[a-z_]+;' client/gyre.map | tr -d ';'); do f=$R/usr/share/man/man3/$s.3; test "
	    "-s $f || "
	    "{ echo $s: no page; exit 1; }; t=$(sed -n 's/^\\.so //p' $f); test -z \"$t\" || test -s "
	    "$R/usr/share/man/$t || "
	    "{ echo $s: $t is missing; exit 1; }; done");
	run("for p in man1/gyre.1 man7/gyre.7 man8/gyred.8 man5/gyred.conf.5; do test -s $R/usr/share/man/$p || exit "
	    "1; done");
}

static void uninstall_leaves_nothing(void **state)
{
	(void)state;
	if (!*root)
		skip();
	run("env -u MAKEFLAGS -u MAKELEVEL make -s BUILD=${BUILD:-build} DESTDIR=$R PREFIX=/usr uninstall && "
	    "test -z \"$(find $R/usr -type f -o -type l)\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(consumers_build),           cmocka_unit_test(an_example_runs),
		cmocka_unit_test(units_are_sound),           cmocka_unit_test(exports_are_the_map),
		cmocka_unit_test(every_symbol_has_its_page), cmocka_unit_test(uninstall_leaves_nothing)
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
