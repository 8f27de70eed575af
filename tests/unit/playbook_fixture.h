/* A playbook from text, and what was reported of it. */
#ifndef NEFIA_TESTS_PLAYBOOK_FIXTURE_H
#define NEFIA_TESTS_PLAYBOOK_FIXTURE_H

#include "check.h"
#include "nefia/base/err.h"
#include "nefia/play/playbook.h"

static struct playbook_memory memory;
static struct playbook *const book = &memory.book;
static struct pattern_tree tree;
static char parsing[65536], reports[8192];
static struct text report;

static void note(void *arg, const char *message)
{
    (void)arg;
    text_str(&report, message);
    text_char(&report, '\n');
}

/** Return: as playbook_bind. */
static int load(const char *name, const char *text)
{
    struct config *c = &memory.config;

    text_init(&report, reports, sizeof reports);
    memory.arena = (struct config_arena){memory.strings, sizeof memory.strings, 0};
    config_init(c, NULL, memory.nodes, PLAYBOOK_NODES, note, NULL);
    int err = config_load_text(c, name, text, strlen(text), &memory.arena, parsing, sizeof parsing);
    if (err == 0)
        err = playbook_bind(book, c, &tree);
    const int done = config_done(c);
    return err < 0 ? err : done;
}

#endif
