/* Why: whose quota counts must be told from the kernel's word and the file's order alone, and a model's name must be whole. */
#include "daemon/control/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config c;
static int pair[2];

static const struct config_quota *find(uid_t uid, gid_t gid)
{
	const struct ucred peer = { .uid = uid, .gid = gid };

	return quota_find(&c, pair[0], &peer);
}

static void the_users_own_goes_first_then_its_groups_in_order(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	c.n_quota = 4;
	c.quota[0] = (struct config_quota){ .whom = CONFIG_GID, .id = 4000001 };
	c.quota[1] = (struct config_quota){ .whom = CONFIG_UID, .id = 4000007 };
	c.quota[2] = (struct config_quota){ .whom = CONFIG_GID, .id = 4000002 };
	c.quota[3] = (struct config_quota){ .whom = CONFIG_UID, .id = 4000002 };
	assert_ptr_equal(find(4000007, 4000001), &c.quota[1]);
	assert_ptr_equal(find(4000002, 4000001), &c.quota[3]);
	assert_ptr_equal(find(4000003, 4000001), &c.quota[0]);
	assert_ptr_equal(find(4000003, 4000002), &c.quota[2]);
	assert_ptr_equal(find(4000001, 4000007), &c.everybody); /* a uid is no gid */
	assert_ptr_equal(find(4000003, 4000003), &c.everybody);
	close(pair[0]);
	close(pair[1]);
	assert_ptr_equal(find(4000003, 4000003), &c.everybody); /* the kernel does not tell */
}

static void names_are_whole(void **state)
{
	struct config_quota q = { .models = "" };

	(void)state;
	assert_true(quota_has_model(&q, "any"));
	strcpy(q.models, "small,large-q8");
	assert_true(quota_has_model(&q, "small"));
	assert_true(quota_has_model(&q, "large-q8"));
	assert_false(quota_has_model(&q, "large"));
	assert_false(quota_has_model(&q, "small,large-q8"));
	assert_false(quota_has_model(&q, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_users_own_goes_first_then_its_groups_in_order),
					    cmocka_unit_test(names_are_whole) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
