#ifndef NEFIA_GUARD_POLICY_H
#define NEFIA_GUARD_POLICY_H

#include "nefia/config/config.h"
#include "nefia/event/event.h"
#include "nefia/guard/matcher.h"
#include "nefia/guard/shell.h"
#include "nefia/guard/verdict.h"

/** Decides which commands and paths are allowed: the same on hub and device, for people, rules and programs. docs/policy.md
 * says what a policy means. */

enum policy_mode { POLICY_OFF, POLICY_WARN, POLICY_ENFORCE };
/** In the order of enum policy_mode, for word_at and FIELD_WORD. */
extern const char policy_mode_words[];

/** The lists of a policy and of each of its roles, in the order in which they are asked. */
enum policy_list {
    POLICY_DENY_COMMANDS,
    POLICY_ALLOW_COMMANDS,
    POLICY_DENY_PATHS,
    POLICY_ALLOWED_ROOTS, /* absolute paths, not patterns */
    POLICY_HOSTS,         /* of a role: which hosts have it */
    POLICY_LISTS,
};
const char *policy_list_name(enum policy_list list);

/** One item of a list. Strings belong to the configuration. */
struct policy_rule {
    const char *text;
    struct matcher matcher;
    uint16_t line;  /* of the configuration */
    uint8_t list;   /* enum policy_list */
    uint8_t scope;  /* 0: for all; otherwise roles[scope - 1]'s */
    bool catch_all; /* matches every text */
};

/** A policy. Its rules lie together by scope and list: those of one list are [first[scope][list], first[scope][list + 1]). */
struct policy {
    enum policy_mode mode;
    struct policy_rule *rules;
    uint16_t rule_cap, rule_count, role_count;
    const char *roles[CONFIG_POLICY_ROLES];
    uint16_t first[CONFIG_POLICY_ROLES + 1][POLICY_LISTS + 1];
    struct matcher_store store;
};

/** Memory of decisions; holds nothing between calls. */
struct policy_work {
    struct matcher_work matcher;
    struct shell_work shell;
};

/** What is asked before something is done. Everything is borrowed for the call. */
struct policy_case {
    const char *command; /* for /bin/sh; null: nothing is run */
    const char *path;    /* resolved, absolute; null: no file */
    const char *host;    /* where it would be done: a host_id */
    const char *role;    /* that the host's item names, or null: the first role whose `hosts` match */
    /* for who answers differently by what sets it off */
    const struct event *event; /* or null */
    const char *rule, *action; /* the reactor's rule, or null; its word: exec, alert */
    int64_t now_s;             /* wall clock */
};

/** Who is asked: policy_judge with a struct policy_use, or in a test another one. */
struct guard {
    /** Pure: the same case gives the same verdict. Null: nobody is asked, and everything is allowed. */
    struct verdict (*judge)(void *arg, const struct policy_case *c);
    void *arg;
};

/** The arguments of policy_judge as a guard. */
struct policy_use {
    const struct policy *policy;
    struct policy_work *work;
};

/** May it be done? Bounds: time is the length of the subject times the steps of the patterns, times the commands in it. */
struct verdict policy_judge(void *use, const struct policy_case *c);
/** The role of a host: named (may be null) where the policy has it, else the first whose `hosts` match; null: none. */
const char *policy_role(const struct policy_use *use, const char *host, const char *named);

/** The scope of a role by its name, counted from 1; 0: null, or no role of the policy. */
unsigned policy_scope(const struct policy *p, const char *name);

/** A policy and what its patterns are compiled into, in the sizes of the configuration. */
struct policy_memory {
    struct policy policy;
    struct policy_rule rules[CONFIG_POLICY_PATTERNS];
    struct matcher_op ops[CONFIG_POLICY_OPS];
    struct pattern_range ranges[CONFIG_POLICY_RANGES];
};
/** policy_init with these. */
void policy_memory_init(struct policy_memory *m);
/** Keeps the arrays: rules, and the store's ops and ranges. The policy is empty and permits everything. */
void policy_init(struct policy *p, struct policy_rule *rules, unsigned rule_cap, const struct matcher_store *store);
/** Bind the section `policy` (null: there is none) over what p held; all problems are reported. Return: 0 or NEFIA_EINVAL. */
int policy_bind(struct policy *p, struct config *c, const struct node *n, struct pattern_tree *scratch);

/** For a program that cannot enforce one: the section must be empty, or `mode: off`; whatever else it has is reported, so that no
 * one relies on it. */
void policy_refuse(struct config *c, const struct node *n);
/** For a program that does nothing of what a policy is about, and whose file another program reads too: warn. */
void policy_ignore(struct config *c, const struct node *n);

/** Of `policy` and of `policy.roles[]`: for who reads the tables, the reference and tests. */
extern const struct field policy_fields[], policy_role_fields[];

/** Has the path no `.`, `..` or empty component, so that without links it is the one that the kernel says? A slash at its end is
 * none. */
bool policy_is_plain(struct slice path);

/** One remark of lint. Strings are constant, or the policy's. */
struct policy_remark {
    uint16_t line;
    const char *where; /* the list's name */
    const char *role;  /* or null */
    const char *text;  /* the item */
    const char *what;  /* a sentence */
};
/** What in the policy probably does not do what was meant: an allow pattern without an anchor, one that can never decide
 * because another comes first, one that matches everything, one that can never match. Return: how many remarks. */
unsigned policy_lint(const struct policy_use *use, void (*remark)(void *arg, const struct policy_remark *r), void *arg);

#endif
