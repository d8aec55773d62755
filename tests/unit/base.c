/* SPDX-License-Identifier: MIT
 *
 * base.c - unit tests of the two lowest layers: sizeclass, bits, options, fatal, lock; and
 * of rows, which are bitmaps.
 */
#include "unit.h"

#include "fatal.h"
#include "lock.h"
#include "options.h"
#include "rows.h"
#include "sizeclass.h"

/* ---- sizeclass ----------------------------------------------------------------------------- */

START_TEST(sizeclass_of_every_size)
{
	for (size_t s = 1; s <= SMALL_MAX; s++) {
		unsigned c = sizeclass_of(s);

		REQUIRE(c >= 1 && c < NCLASSES);
		REQUIRE(arn_class[c - 1].size < s && s <= arn_class[c].size);
	}
}
END_TEST

START_TEST(sizeclass_table)
{
	ck_assert_uint_eq(arn_class[NCLASSES - 1].size, SMALL_MAX);
	for (unsigned c = 1; c < NCLASSES; c++) {
		const struct sizeclass *k = &arn_class[c];

		ck_assert_uint_eq(k->size % QUANTUM, 0);
		ck_assert_uint_gt(k->size, arn_class[c - 1].size);
		if (k->size > DIRECT_MAX) /* five per doubling: a block wastes at most a fifth */
			ck_assert_uint_le((k->size - arn_class[c - 1].size) * 5, k->size);
		ck_assert_uint_ge(k->run_pages * PAGE_BYTES, k->size);
		ck_assert_uint_le(k->run_pages * PAGE_BYTES % k->size * 8, k->run_pages * PAGE_BYTES);
		ck_assert_uint_le(k->run_pages, k->run_max);
		ck_assert_uint_le(k->run_max * PAGE_BYTES, 1 << 18);
		ck_assert_uint_le(k->run_max * PAGE_BYTES / k->size, RUN_REGIONS_MAX);
		ck_assert_uint_ge(k->cache_max, TCACHE_CAP_MIN - 1);
		ck_assert_uint_le(k->cache_max, TCACHE_CAP_MAX);
		ck_assert_uint_ge(k->refill_max, 1);
	}
}
END_TEST

START_TEST(sizeclass_region_every_offset)
{
	for (unsigned c = 1; c < NCLASSES; c++) {
		size_t size = arn_class[c].size;

		for (size_t off = 0; off < 1 << 18; off++) {
			uintptr_t region = sizeclass_region(&arn_class[c], off);

			if (off % size == 0)
				REQUIRE(region == off / size);
			else
				REQUIRE(region > RUN_REGIONS_MAX);
		}
	}
}
END_TEST

/* ---- bits ---------------------------------------------------------------------------------- */

START_TEST(bits_words)
{
	for (unsigned i = 0; i < sizeof(uintptr_t) * 8; i++) {
		uintptr_t x = (uintptr_t)1 << i;

		ck_assert_uint_eq(bits_log2(x), i);
		ck_assert_uint_eq(bits_log2(x | (x - 1)), i);
		ck_assert(bits_is_pow2(x));
		ck_assert_uint_eq(bits_round_up(x, x), x);
		ck_assert_uint_eq(bits_round_down(x + x / 2, x), x);
		if (i > 1)
			ck_assert(!bits_is_pow2(x + 1));
	}
	ck_assert(!bits_is_pow2(0));
	ck_assert_uint_eq(bits_low(1), 1);
	ck_assert_uint_eq(bits_low(64), ~0ull);
	ck_assert_uint_eq(bits_ror(1, 4), (uintptr_t)1 << (sizeof(uintptr_t) * 8 - 4));
}
END_TEST

#define MODEL_BITS 300u

START_TEST(bits_maps_against_model)
{
	uint64_t map[(MODEL_BITS + 63) / 64] = {0}, seed = 1;
	bool model[MODEL_BITS] = {false};

	for (unsigned step = 0; step < 20000; step++) {
		unsigned from = (unsigned)(unit_random(&seed) % MODEL_BITS);
		unsigned n = (unsigned)(unit_random(&seed) % (MODEL_BITS - from + 1));
		bool on = unit_random(&seed) & 1;
		unsigned count = 0, next, last;

		bitmap_fill(map, from, n, on);
		for (unsigned i = from; i < from + n; i++)
			model[i] = on;
		from = (unsigned)(unit_random(&seed) % MODEL_BITS);
		n = (unsigned)(unit_random(&seed) % (MODEL_BITS - from + 1));
		for (unsigned i = from; i < from + n; i++)
			count += model[i];
		for (next = from; next < from + n && model[next] != on; next++)
			;
		for (last = from + n; last > from && model[last - 1] != on; last--)
			;
		last = last > from ? last - 1 : from + n;
		REQUIRE(bitmap_count(map, from, n) == count);
		REQUIRE(bitmap_next(map, from, from + n, on) == next);
		REQUIRE(bitmap_last(map, from, from + n, on) == last);
		REQUIRE(bitmap_test(map, from) == model[from]);
	}
}
END_TEST

/* ---- options ------------------------------------------------------------------------------- */

struct parse {
	const char *text;
	size_t dirty_kib, thp; /* what they must be afterwards */
	int warnings;
};

static void parse_child(void *arg)
{
	const struct parse *t = arg;

	arn_options_parse(t->text);
	_exit(arn_options.dirty_kib == t->dirty_kib && arn_options.thp == t->thp ? 0 : 1);
}

#define D 256 /* the default of dirty_kib */

static struct parse parses[] = {
	{"", D, 1, 0},
	{"dirty_kib:0", 0, 1, 0},
	{"dirty_kib:17,thp:0", 17, 0, 0},
	{"thp:0,thp:1", D, 1, 0},
	{",,thp:0,,", D, 0, 0},
	{"dirty_kib:1048576", 1048576, 1, 0},
	{"dirty_kib:1048577", D, 1, 1},
	{"dirty_kib:4294967297", D, 1, 1}, /* 1 where size_t has 32 bits and nobody looks */
	{"dirty_kib:99999999999", D, 1, 1},
	{"dirty_kib:18446744073709551616", D, 1, 1},
	{"thp:2", D, 1, 1},
	{"thp:-1", D, 1, 1},
	{"thp: 0", D, 1, 1},
	{"thp:0x0", D, 1, 1},
	{"thp:", D, 1, 1},
	{"thp", D, 1, 1},
	{":", D, 1, 1},
	{":0", D, 1, 1},
	{"thp=0", D, 1, 1},
	{"thpp:0", D, 1, 1},
	{"th:0", D, 1, 1},
	{"THP:0", D, 1, 1},
	{"thp:0:0", D, 1, 1},
	{"bad,thp:0,worse:1", D, 0, 2},
	{"a_name_longer_than_any_row_of_the_table_can_be:1", D, 1, 1},
	{"\xff\xfe:\x01", D, 1, 1},
};

START_TEST(options_table)
{
	for (size_t i = 0; i < sizeof parses / sizeof *parses; i++) {
		char text[2000];
		int status = unit_child(parse_child, &parses[i], text, sizeof text), lines = 0;

		for (const char *s = text; *s != '\0'; s++)
			lines += *s == '\n';
		ck_assert_msg(status == 0, "\"%s\": wrong values", parses[i].text);
		ck_assert_msg(lines == parses[i].warnings, "\"%s\": %s", parses[i].text, text);
	}
}
END_TEST

START_TEST(options_long_row)
{
	static char row[10000];
	struct parse t = {row, D, 1, 1};
	char text[4000];

	memset(row, 'x', sizeof row - 1);
	ck_assert_int_eq(unit_child(parse_child, &t, text, sizeof text), 0);
	ck_assert_uint_le(strlen(text), 256); /* the buffer of one line */
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

/* ---- fatal --------------------------------------------------------------------------------- */

static void crime_child(void *arg)
{
	arn_crime(*(enum arn_crime *)arg, (void *)0xabc0);
}

START_TEST(fatal_names)
{
#define X(id, name, hint) \
	{ \
		enum arn_crime which = CRIME_##id; \
		REQUIRE_CRIME(crime_child, &which, name ": 0xabc0"); \
	}
	ARN_CRIMES(X)
#undef X
}
END_TEST

/* ---- lock ---------------------------------------------------------------------------------- */

START_TEST(lock_states)
{
	struct lock l = {0};

	ck_assert(!lock_is_held(&l));
	ck_assert(lock_try(&l));
	ck_assert(lock_is_held(&l));
	ck_assert(!lock_try(&l));
	lock_drop(&l);
	ck_assert(!lock_is_held(&l));
	ck_assert(!lock_reset(&l));
	lock_take(&l);
	ck_assert(lock_reset(&l));
	ck_assert(lock_try(&l));
}
END_TEST

static struct lock counter_lock;
static unsigned long counter;

static void *count_up(void *arg)
{
	for (int i = 0; i < 50000; i++) {
		if (i % 16 == 0)
			while (!lock_try(&counter_lock))
				;
		else
			lock_take(&counter_lock);
		counter++;
		lock_drop(&counter_lock);
	}
	return arg;
}

START_TEST(lock_excludes)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(counter, 4 * 50000);
	ck_assert(!lock_is_held(&counter_lock));
}
END_TEST

START_TEST(lock_wakes_sleepers)
{
	pthread_t t[4];

	lock_take(&counter_lock);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_up, NULL), 0);
	usleep(20000); /* all four have given up spinning by now */
	lock_drop(&counter_lock);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(counter, 4 * 50000);
}
END_TEST

/* Rows are what a look at each page finds. */
START_TEST(rows_against_pages)
{
	struct chunk c = {.base = CHUNK_BYTES, .npages = CHUNK_PAGES};
	struct row_place p;
	uint64_t seed = 7;

	for (int step = 0; step < 5000; step++) {
		unsigned at = (unsigned)(unit_random(&seed) % CHUNK_PAGES), best = 0, tight = ~0u;
		unsigned n = 1 + (unsigned)(unit_random(&seed) % (CHUNK_PAGES - at)), len = 0;
		unsigned want = 1 + (unsigned)(unit_random(&seed) % 64);
		unsigned warm = 0, tight_warm = ~0u;

		bitmap_fill(c.used, at, n % 40 + 1 < n ? n % 40 + 1 : n, unit_random(&seed) % 2);
		bitmap_fill(c.dirty, at, n % 90 + 1 < n ? n % 90 + 1 : n, unit_random(&seed) % 2);
		for (unsigned i = 0; i <= CHUNK_PAGES; i++) {
			bool ends = i == CHUNK_PAGES || bitmap_test(c.used, i);
			bool cold = ends || !bitmap_test(c.dirty, i);

			if (ends && len >= want && len < tight)
				tight = len;
			len = ends ? 0 : len + 1;
			best = len > best ? len : best;
			if (cold && warm >= want && warm < tight_warm)
				tight_warm = warm;
			warm = cold ? 0 : warm + 1;
		}
		REQUIRE(rows_find_dirty(&c, want, 1, &p) == (tight_warm != ~0u));
		if (tight_warm != ~0u) {
			REQUIRE(bitmap_count(c.dirty, p.at, want) == want);
			REQUIRE(bitmap_count(c.used, p.at, want) == 0);
			/* No tighter one, and not out of the middle. */
			REQUIRE(p.at == 0 || bitmap_test(c.used, p.at - 1) ||
				!bitmap_test(c.dirty, p.at - 1));
			for (unsigned i = 0; i <= tight_warm; i++)
				REQUIRE((i == tight_warm) ==
					(p.at + i == CHUNK_PAGES || bitmap_test(c.used, p.at + i) ||
					 !bitmap_test(c.dirty, p.at + i)));
		}
		REQUIRE(rows_longest(&c) == best);
		REQUIRE(rows_find(&c, want, want, 1, &p) == (best >= want));
		if (best < want)
			continue;
		REQUIRE(rows_around(&c, p.at, want) == tight);
		bitmap_fill(c.used, p.at, want, true);
		REQUIRE(rows_longest(&c) == p.largest);
		bitmap_fill(c.used, p.at, want, false);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");

	unit_add(s, "sizeclass", sizeclass_of_every_size);
	unit_add(s, "sizeclass", sizeclass_table);
	unit_add(s, "sizeclass", sizeclass_region_every_offset);
	unit_add(s, "bits", bits_words);
	unit_add(s, "bits", bits_maps_against_model);
	unit_add(s, "rows", rows_against_pages);
	unit_add(s, "options", options_table);
	unit_add(s, "options", options_long_row);
	unit_add(s, "fatal", fatal_names);
	unit_add(s, "lock", lock_states);
	unit_add(s, "lock", lock_excludes);
	unit_add(s, "lock", lock_wakes_sleepers);
	return unit_run(s);
}
