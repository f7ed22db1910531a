/* model FILE: writes the model that the booted Debian serves. Its two users get the same bits of it, whatever the machine. */
#include "tests/util/tiny.h"

int main(int argc, char **argv)
{
	return argc == 2 && tiny_write(argv[1], &tiny_served) == 0 ? 0 : 1;
}
