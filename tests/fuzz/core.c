/* SPDX-License-Identifier: MIT
 *
 * core.c - fuzz target: alloc-stats on damaged cores.  The input is a list of changes to the core
 * file that FUZZ_CORE names, each to a place that matters: the ELF headers and notes, the root, and
 * what is reached from it.  All forms of output are made of what is read.
 *
 *   change = place (2 bytes), offset in it (2 bytes), how (1 byte), value (8 bytes)
 *
 * The reader may end with a word (fatal(), which comes back here) and must end in time.
 */
#include "input.h"

#include <fcntl.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "show.h"

#define ROOT_HEAPS   offsetof(struct arn_root, heaps)
#define ROOT_PAGEMAP offsetof(struct arn_root, pagemap)
enum { PLACES_MAX = 4096, STEPS = 3 };
/* So that one input takes milliseconds. */
enum { CHANGES_MAX = 24 };

static struct {
	uint64_t at, n;
} place[PLACES_MAX];
static unsigned nplaces;
static unsigned char *core;
static size_t core_n;
static int fd;
static FILE *nowhere;
static jmp_buf out;

void __wrap_fatal(int status, const char *format, ...) __attribute__((noreturn));
void __wrap_fatal(int status, const char *format, ...)
{
	REQUIRE(status != 0 && *format != '\0', "fatal() without a word");
	longjmp(out, 1);
}

void __wrap_warning(const char *format, ...);
void __wrap_warning(const char *format, ...)
{
	REQUIRE(*format != '\0', "a warning of nothing");
}

static uint64_t word(uint64_t at)
{
	uint64_t x = 0;

	if (at + sizeof x <= core_n)
		memcpy(&x, core + at, sizeof x);
	return x;
}

static void add(uint64_t at, uint64_t n)
{
	if (nplaces < PLACES_MAX && at < core_n) {
		place[nplaces].at = at;
		place[nplaces++].n = at + n > core_n ? core_n - at : n;
	}
}

/* Where in the file address ADDR is, or core_n. */
static uint64_t offset_of(uint64_t addr)
{
	uint64_t phoff = word(32), count = word(54) >> 16 & 0xffff;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t h = phoff + i * 56, start = word(h + 16), file = word(h + 32);

		if ((word(h) & 0xffffffff) == 1 && addr >= start && addr - start < file)
			return word(h + 8) + (addr - start);
	}
	return core_n;
}

static void find_places(void)
{
	const uint64_t magic = ARN_ROOT_MAGIC;
	const unsigned char *r = memmem(core, core_n, &magic, sizeof magic);
	uint64_t root = r != NULL ? (uint64_t)(r - core) : 0;
	unsigned from = 2, to;

	REQUIRE(r != NULL, "no root in the core");
	add(0, 4096);
	add(root, sizeof(struct arn_root));
	add(root + ROOT_HEAPS, sizeof(struct arn_root) - ROOT_HEAPS);
	for (unsigned step = 0; step < STEPS; step++) {
		to = nplaces;
		for (unsigned k = from; k < to; k++)
			for (uint64_t i = 0; i + 8 <= place[k].n; i += 8)
				add(offset_of(word(place[k].at + i)), step == 0 ? 64 : step == 1 ? 4096 : 512);
		from = to;
	}
	/* The header of the page map's window lies before what the root leads to. */
	add(offset_of(word(offset_of(word(root + ROOT_PAGEMAP)))) - sizeof(struct pagemap),
	    sizeof(struct pagemap));
}

static void begin(void)
{
	const char *path = getenv("FUZZ_CORE");
	FILE *f = path != NULL ? fopen(path, "rb") : NULL;

	REQUIRE(f != NULL, "FUZZ_CORE names no readable file");
	fseek(f, 0, SEEK_END);
	core_n = (size_t)ftell(f);
	rewind(f);
	fd = memfd_create("core", 0);
	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)core_n) == 0, "memfd");
	core = mmap(NULL, core_n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(core != MAP_FAILED && fread(core, 1, core_n, f) == core_n, "the core");
	fclose(f);
	nowhere = fopen("/dev/null", "w");
	find_places();
}

static void read_core(void)
{
	char path[64], *error = NULL;
	struct json_object *j;
	struct snapshot *s;
	struct target *t;
	int status = 0;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	t = target_open_core(path, &error, &status);
	if (t == NULL) {
		REQUIRE(error != NULL && *error != '\0' && status != 0, "refused without a word");
		free(error);
		return;
	}
	s = snapshot_take(t);
	if (s == NULL) {
		REQUIRE(t->error != NULL && t->error_status != 0, "unreadable without a word");
	} else {
		j = json_heap(s);
		show_json(nowhere, j);
		show_diff(nowhere, j, j);
		json_object_put(j);
		show_text(nowhere, s);
		show_openmetrics(nowhere, &s, 1);
		show_map(nowhere, s, true);
	}
	snapshot_free(s);
	target_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = {data, data + n};
	struct {
		uint64_t at, old;
	} undo[CHANGES_MAX];
	volatile unsigned changes = 0;

	if (core == NULL)
		begin();
	while (in.at < in.end && changes < CHANGES_MAX) {
		unsigned k = (unsigned)take(&in, 2) % nplaces, how;
		uint64_t at = place[k].at + take(&in, 2) % place[k].n, x;

		how = (unsigned)take(&in, 1);
		x = take(&in, 8);
		/* Whole words mostly; some are another word of the same place, or differ in a bit. */
		if (how % 8 != 0)
			at -= at % 8;
		if (at + 8 > core_n)
			continue;
		undo[changes].at = at;
		undo[changes].old = word(at);
		changes++;
		if (how % 8 == 1)
			x = word(at) ^ 1ull << x % 64;
		else if (how % 8 == 2)
			x = word(place[k].at + x % place[k].n / 8 * 8);
		else if (how % 8 == 3)
			x = word(at) + x % 65536;
		memcpy(core + at, &x, sizeof x);
	}
	if (setjmp(out) == 0)
		read_core();
	while (changes > 0) {
		changes--;
		memcpy(core + undo[changes].at, &undo[changes].old, 8);
	}
	return 0;
}
