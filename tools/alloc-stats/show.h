/* SPDX-License-Identifier: MIT
 *
 * show.h - the forms in which a snapshot is shown.
 */
#ifndef STATS_SHOW_H
#define STATS_SHOW_H

#include <json-c/json.h>

#include "snapshot.h"

/* The line that says where the resident memory is, and the one that says what would help.
 * Callers free both. */
char *verdict_line(const struct snapshot *s);
char *verdict_advice(const struct snapshot *s);
/* The class with the most bytes in empty regions, 0 when there is none; and their share, 0..1. */
unsigned verdict_worst(const struct snapshot *s, double *empty_share);
double class_empty_share(const struct class_row *k);

/* Whole page on F. */
void show_text(FILE *f, const struct snapshot *s);

/* The schema that alloc-stats(1) documents.  json_heap gives the caller a reference. */
#define JSON_SCHEMA 1
struct json_object *json_heap(const struct snapshot *s);
void show_json(FILE *f, struct json_object *j);

/* OpenMetrics text of N snapshots, with its end line. */
void show_openmetrics(FILE *f, struct snapshot *const *s, size_t n);

/* A picture: SVG, or with HTML that SVG in a page with details under the pointer. */
void show_map(FILE *f, const struct snapshot *s, bool html);

/* What /proc knows of a process without libarena. */
void show_plain(FILE *f, struct target *t);

/* Two documents that json_heap made, compared.  False: not such documents. */
bool show_diff(FILE *f, struct json_object *a, struct json_object *b);

#endif
