/* SPDX-License-Identifier: MIT
 *
 * ospage.c - the page layer on kernels with pages of 4, 16 and 64 KiB, simulated: the linker (--wrap)
 * puts the functions below between the core and its OS layer.  They hold the core to the contract of
 * os.h, that all addresses are multiples of arn_os_page_bytes(), and keep the habits of such a kernel:
 * lengths are rounded up, fresh mappings are aligned.
 */
#include "unit.h"

#include "alloc.h"
#include "options.h"
#include "os.h"
#include "pages.h"

static size_t page = 4096;
static unsigned purges;

size_t __wrap_arn_os_page_bytes(void);
void *__wrap_arn_os_map(void *hint, size_t n);
void *__wrap_arn_os_map_aligned(void *hint, size_t n, size_t align);
bool __wrap_arn_os_unmap(void *p, size_t n);
bool __wrap_arn_os_purge(void *p, size_t n);
bool __wrap_arn_os_resize(void *p, size_t old_n, size_t new_n);
bool __wrap_arn_os_move(void *p, size_t old_n, size_t new_n, void *to);
void *__real_arn_os_map_aligned(void *hint, size_t n, size_t align);
bool __real_arn_os_unmap(void *p, size_t n);
bool __real_arn_os_purge(void *p, size_t n);
bool __real_arn_os_resize(void *p, size_t old_n, size_t new_n);
bool __real_arn_os_move(void *p, size_t old_n, size_t new_n, void *to);

static size_t whole(size_t n)
{
	return bits_round_up(n, page);
}

static void require_page(const void *p)
{
	if (((uintptr_t)p & (page - 1)) != 0)
		abort();
}

size_t __wrap_arn_os_page_bytes(void)
{
	return page;
}

void *__wrap_arn_os_map(void *hint, size_t n)
{
	return __real_arn_os_map_aligned(hint, whole(n), page);
}

void *__wrap_arn_os_map_aligned(void *hint, size_t n, size_t align)
{
	return __real_arn_os_map_aligned(hint, whole(n), align > page ? align : page);
}

bool __wrap_arn_os_unmap(void *p, size_t n)
{
	require_page(p);
	return __real_arn_os_unmap(p, whole(n));
}

bool __wrap_arn_os_purge(void *p, size_t n)
{
	require_page(p);
	/* madvise rounds the length up too, and would drop what follows: so the core must not. */
	require_page((char *)p + n);
	purges++;
	return __real_arn_os_purge(p, n);
}

bool __wrap_arn_os_resize(void *p, size_t old_n, size_t new_n)
{
	require_page(p);
	return __real_arn_os_resize(p, whole(old_n), whole(new_n));
}

bool __wrap_arn_os_move(void *p, size_t old_n, size_t new_n, void *to)
{
	require_page(p);
	require_page(to);
	return __real_arn_os_move(p, whole(old_n), whole(new_n), to);
}

#define BLOCKS 400

/* Fills the block with a number that depends on where it is. */
static void fill(unsigned char *p, size_t n, unsigned char tag)
{
	memset(p, tag, n < 256 ? n : 256);
	for (size_t i = 0; i < n; i += 4096)
		p[i] = tag;
	p[n - 1] = tag;
}

static void require_fill(const unsigned char *p, size_t n, unsigned char tag)
{
	for (size_t i = 0; i < n && i < 256; i++)
		REQUIRE(p[i] == tag);
	for (size_t i = 0; i < n; i += 4096)
		REQUIRE(p[i] == tag);
	REQUIRE(p[n - 1] == tag);
}

START_TEST(all_sizes)
{
	static unsigned char *block[BLOCKS];
	static size_t bytes[BLOCKS];
	uint64_t seed = 11;

	page = (size_t)4096 << _i;
	arn_options.dirty_kib = 512; /* purge much */
	for (int step = 0; step < 20000; step++) {
		unsigned i = (unsigned)(unit_random(&seed) % BLOCKS);
		unsigned kind = (unsigned)(unit_random(&seed) % 64);
		size_t top = kind == 0 ? 8 * MIB : kind < 16 ? 300 * KIB : 20 * KIB;
		size_t n = 1 + unit_random(&seed) % top;

		if (block[i] == NULL) {
			block[i] = kind & 1 ? tcache_malloc(n) : tcache_calloc(1, n);
			REQUIRE(block[i] != NULL);
			if ((kind & 1) == 0)
				require_fill(block[i], n, 0);
			bytes[i] = n;
		} else if (kind % 4 == 0) {
			block[i] = arn_realloc(block[i], n);
			REQUIRE(block[i] != NULL);
			REQUIRE(block[i][0] == (unsigned char)i);
			bytes[i] = n;
		} else {
			require_fill(block[i], bytes[i], (unsigned char)i);
			tcache_free(block[i]);
			block[i] = NULL;
			continue;
		}
		fill(block[i], bytes[i], (unsigned char)i);
		if (step % 16 == 0)
			REQUIRE(arn_pages_check());
	}
	for (int i = 0; i < BLOCKS; i++)
		tcache_free(block[i]);
	arn_trim(0);
	ck_assert_uint_gt(purges, 0);
	ck_assert(arn_pages_check());
	/* What is left lies in OS pages that are partly in use or at the edge of a chunk. */
	if (page <= PAGE_BYTES)
		ck_assert_uint_eq(arn_pages.dirty, 0);
	else
		ck_assert_uint_le(arn_pages.dirty, arn_pages.nchunks * 2 * page);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ospage");
	TCase *tc = tcase_create("ospage");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, all_sizes, 0, 5); /* 4, 8, 16, 32, 64 KiB */
	suite_add_tcase(s, tc);
	return unit_run(s);
}
