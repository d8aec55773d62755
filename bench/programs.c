/* SPDX-License-Identifier: MIT */
/*
 * Small programs of one thread that use what they allocate: trees, graphs, strings, documents,
 * and heaps from 1 MiB to many GiB.  Here locality and size of the heap matter, not only calls.
 */
#include "common.h"

/* ---- binary search tree: insert random keys, look up, delete in key order ---- */

struct leaf {
	struct leaf *kid[2];
	uint64_t key, value;
};

static void tree_drop(struct leaf *leaf)
{
	if (!leaf)
		return;
	tree_drop(leaf->kid[0]);
	tree_drop(leaf->kid[1]);
	free(leaf);
}

static void tree(void)
{
	size_t live = opt("live", 100000), n = opt("n", 10);
	uint64_t seed = 21, found = 0;

	for (size_t round = 0; round < n; round++) {
		struct leaf *root = NULL;

		for (size_t i = 0; i < live; i++) {
			struct leaf **at = &root, *leaf = must(malloc(sizeof *leaf));

			*leaf = (struct leaf){ .key = rnd(&seed), .value = i };
			while (*at)
				at = &(*at)->kid[leaf->key > (*at)->key];
			*at = leaf;
		}
		for (size_t i = 0; i < live / 4; i++) {
			uint64_t key = rnd(&seed);

			for (struct leaf *at = root; at; at = at->kid[key > at->key])
				found += at->value & 1;
		}
		tree_drop(root);
	}
	escape(&found);
}

/* Complete binary trees of rising depth, built and dropped beside one that stays. */
struct twig {
	struct twig *kid[2];
};

static struct twig *grow(int depth)
{
	struct twig *twig = must(malloc(sizeof *twig));

	twig->kid[0] = depth ? grow(depth - 1) : NULL;
	twig->kid[1] = depth ? grow(depth - 1) : NULL;
	return twig;
}

static void fell(struct twig *twig)
{
	if (!twig)
		return;
	fell(twig->kid[0]);
	fell(twig->kid[1]);
	free(twig);
}

static void trees(void)
{
	int most = (int)opt("depth", 17);
	struct twig *stays = grow(most);

	for (int depth = 4; depth <= most; depth += 4)
		for (int i = 0; i < 1 << (most - depth + 3); i++)
			fell(grow(depth));
	fell(stays);
}

/* ---- graph: nodes whose edge lists grow by realloc, breadth-first walks, partial rebuild ---- */

struct node {
	uint32_t *edge;
	uint32_t edges_n, room_n, seen;
	char *name;
};

static void graph_link(struct node *node, uint32_t to)
{
	if (node->edges_n == node->room_n) {
		node->room_n = node->room_n ? node->room_n * 2 : 4;
		node->edge = must(realloc(node->edge, node->room_n * sizeof *node->edge));
	}
	node->edge[node->edges_n++] = to;
}

static struct node *node_new(size_t id)
{
	struct node *node = must(calloc(1, sizeof *node));
	char name[32];

	snprintf(name, sizeof name, "node-%zu", id);
	node->name = must(strdup(name));
	return node;
}

static void node_drop(struct node *node)
{
	free(node->edge);
	free(node->name);
	free(node);
}

static size_t walk(struct node **nodes, uint32_t *queue, uint32_t from, uint32_t mark)
{
	size_t head = 0, tail = 0;

	queue[tail++] = from;
	nodes[from]->seen = mark;
	while (head < tail) {
		struct node *node = nodes[queue[head++]];

		for (uint32_t e = 0; e < node->edges_n; e++)
			if (nodes[node->edge[e]]->seen != mark) {
				nodes[node->edge[e]]->seen = mark;
				queue[tail++] = node->edge[e];
			}
	}
	return tail;
}

static void graph(void)
{
	size_t live = opt("live", 60000), n = opt("n", 10), degree = opt("degree", 12);
	struct node **nodes = table(live * sizeof *nodes);
	uint32_t *queue = table(live * sizeof *queue);
	uint64_t seed = 22;

	for (size_t i = 0; i < live; i++)
		nodes[i] = node_new(i);
	for (size_t i = 0; i < live * degree; i++)
		graph_link(nodes[rnd_below(&seed, live)], (uint32_t)rnd_below(&seed, live));
	for (size_t round = 0; round < n; round++) {
		walk(nodes, queue, (uint32_t)rnd_below(&seed, live), (uint32_t)round + 1);
		for (size_t i = 0; i < live / 4; i++) {
			size_t at = rnd_below(&seed, live);

			node_drop(nodes[at]);
			nodes[at] = node_new(at);
			for (size_t e = 0; e < degree; e++)
				graph_link(nodes[at], (uint32_t)rnd_below(&seed, live));
		}
	}
	for (size_t i = 0; i < live; i++)
		node_drop(nodes[i]);
}

/* ---- strings: duplicate, join, cut, format; a few thousand live ---- */

static void strings(void)
{
	size_t live = opt("live", 4096), n = opt("n", 4000000);
	char **text = table(live * sizeof *text);
	uint64_t seed = 23;
	char line[64];

	for (size_t i = 0; i < live; i++)
		text[i] = must(strdup("x"));
	for (size_t i = 0; i < n; i++) {
		size_t at = rnd_below(&seed, live), from = rnd_below(&seed, live);
		size_t a = strlen(text[at]), b = strlen(text[from]);
		char *next;

		switch (rnd(&seed) >> 62) {
		case 0:
			next = must(strdup(text[from]));
			break;
		case 1: /* join; what has grown long starts anew */
			if (a + b > 600)
				a = b = 0;
			next = must(malloc(a + b + 1));
			memcpy(next, text[at], a);
			memcpy(next + a, text[from], b);
			next[a + b] = 0;
			break;
		case 2:
			next = must(strndup(text[from], b / 2 + 1));
			break;
		default:
			snprintf(line, sizeof line, "%zx:%zx", at, i);
			next = must(strdup(line));
			break;
		}
		free(text[at]);
		text[at] = next;
	}
	for (size_t i = 0; i < live; i++)
		free(text[i]);
}

/* ---- documents: nested lists of keys and values, parsed, changed, dropped as a whole ---- */

struct item {
	struct item *next, *first;
	char *key, *value;
};

static struct item *document(uint64_t *seed, int depth)
{
	struct item *head = NULL;
	size_t items = 2 + rnd_below(seed, 8);

	for (size_t i = 0; i < items; i++) {
		struct item *item = must(calloc(1, sizeof *item));
		char text[128];

		memset(text, 'k', sizeof text);
		item->key = must(strndup(text, 4 + rnd_below(seed, 12)));
		if (depth && rnd(seed) >> 63)
			item->first = document(seed, depth - 1);
		else
			item->value = must(strndup(text, 1 + rnd_below(seed, 100)));
		item->next = head;
		head = item;
	}
	return head;
}

static void document_drop(struct item *item)
{
	while (item) {
		struct item *next = item->next;

		document_drop(item->first);
		free(item->key);
		free(item->value);
		free(item);
		item = next;
	}
}

static void documents(void)
{
	size_t live = opt("live", 64), n = opt("n", 15000);
	struct item **doc = table(live * sizeof *doc);
	uint64_t seed = 24;

	for (size_t i = 0; i < n; i++) {
		size_t at = rnd_below(&seed, live);

		document_drop(doc[at]);
		doc[at] = document(&seed, 4);
	}
	for (size_t i = 0; i < live; i++)
		document_drop(doc[i]);
}

/* ---- heap: fill to `bytes` of live objects, then replace `n` at random ---- */

static void heap(void)
{
	size_t bytes = opt("bytes", 1u << 30), n = opt("n", 3000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "etc"), 25);
	uint64_t total = 0, seed = 26;
	size_t live, filled = 0;
	struct cost from;
	void **slots;

	for (size_t i = 0; i < SIZES_N; i++)
		total += sizes[i];
	live = (size_t)((double)bytes / ((double)total / SIZES_N));
	slots = table(live * sizeof *slots);
	for (size_t i = 0; i < live; i++, filled++)
		slots[i] = get(sizes[i % SIZES_N]);
	from = cost_now();
	for (size_t i = 0; i < n; i++) {
		void **slot = slots + rnd_below(&seed, live);

		free(*slot);
		*slot = get(sizes[(filled + i) % SIZES_N]);
	}
	print_cost_each(from, n);
	/* Left to the end of the process: freeing it all is bulk's and return's subject. */
}

int main(int argc, char **argv)
{
	static const struct scenario list[] = {
		{ "tree", tree }, { "trees", trees }, { "graph", graph }, { "strings", strings },
		{ "documents", documents }, { "heap", heap }, { NULL, NULL }
	};

	return run_scenario(argc, argv, list);
}
