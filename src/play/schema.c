/* A playbook's file: what it may say, and what is wrong with it. */
#include <string.h>

#include "nefia/base/err.h"
#include "nefia/guard/policy.h"
#include "nefia/ops/service.h"
#include "play_int.h"

enum { WHERE_BYTES = 96, WHY_BYTES = 320, COMMAND_MAX = 3000, RETRIES_MAX = 100 };

/* ---- tables ---- */

static int set_mode(void *member, const char *value, struct text *why)
{
    unsigned mode = 0;
    size_t len = 0;

    for (; value[len] >= '0' && value[len] <= '7' && len < 4; len++)
        mode = 8 * mode + (unsigned)(value[len] - '0');
    if (value[len] == '\0' && len >= 3 && mode > 0 && mode <= 0777) {
        memcpy(member, &(uint16_t){(uint16_t)mode}, sizeof(uint16_t));
        return 0;
    }
    text_str(why, "is not the permissions of a file" REMEDY(", three or four octal digits such as 0644"));
    return NEFIA_EINVAL;
}

struct file_input {
    const char *path, *content, *from;
    uint16_t mode;
    bool backup;
};
#define FILE_KEY(member) FIELD_AT(struct file_input, member)
const struct field playbook_file_fields[] = {
    {FIELD_REQUIRED("path", "the file that is written"), .type = FIELD_STRING, FILE_KEY(path), .min = 2, .max = FILE_PATH_MAX - 1},
    {.name = "content", .type = FIELD_TEXT, FILE_KEY(content), .min = 0, .max = COMMAND_MAX, FIELD_NOTE("what it is to have")},
    {.name = "from", .type = FIELD_STRING, FILE_KEY(from), .min = 2, .max = FILE_PATH_MAX - 1, FIELD_NOTE("or the file whose content it gets")},
    {.name = "mode", .type = FIELD_SET, FILE_KEY(mode), .set = set_mode, FIELD_NOTE("octal digits; default: those of the file that it replaces, else 0644")},
    {FIELD_DEFAULT("backup", "false"), .type = FIELD_BOOL, FILE_KEY(backup), FIELD_NOTE("keep the file that it replaces, for `restore`")},
    {.name = NULL},
};

struct service_input {
    const char *name;
    int verb;
};
const struct field playbook_service_fields[] = {
    {FIELD_REQUIRED("name", "the service"), .type = FIELD_STRING, FIELD_AT(struct service_input, name), .min = 1, .max = 255},
    {FIELD_REQUIRED("verb", "what is done with it"), .type = FIELD_WORD, FIELD_AT(struct service_input, verb), .words = op_verb_words},
    {.name = NULL},
};

struct wait_input {
    const char *what[OP_WAIT_SERVICE + 1]; /* as enum op_wait */
    uint8_t state; /* as service_state_words */
};
#define WAIT_KEY(which) FIELD_AT(struct wait_input, what[which])
const struct field playbook_wait_fields[] = {
    {.name = "port", .type = FIELD_STRING, WAIT_KEY(OP_WAIT_PORT), .min = 1, .max = 300, FIELD_NOTE("until it takes connections: address:port")},
    {.name = "path", .type = FIELD_STRING, WAIT_KEY(OP_WAIT_PATH), .min = 2, .max = FILE_PATH_MAX - 1, FIELD_NOTE("until it is there")},
    {.name = "service", .type = FIELD_STRING, WAIT_KEY(OP_WAIT_SERVICE), .min = 1, .max = 255, FIELD_NOTE("until its state is this")},
    {FIELD_DEFAULT("state", "active"), .type = FIELD_WORD, FIELD_AT(struct wait_input, state), .words = service_state_words, FIELD_NOTE("of service")},
    {.name = NULL},
};

struct op_input {
    const char *run, *check, *restore;
    const struct node *argv, *service, *file, *wait_for, *env;
    uint32_t timeout_ms;
};
#define OP_KEY(member) FIELD_AT(struct op_input, member)
const struct field playbook_op_fields[] = {
    {.name = "run", .type = FIELD_TEXT, OP_KEY(run), .min = 1, .max = COMMAND_MAX, FIELD_NOTE("a command line for /bin/sh")},
    {.name = "argv", .type = FIELD_NODE, OP_KEY(argv), FIELD_NOTE("a program and its arguments, without a shell: a list")},
    {.name = "service", .type = FIELD_NODE, OP_KEY(service), FIELD_NOTE("a map: start, stop, restart or reload a service")},
    {.name = "file", .type = FIELD_NODE, OP_KEY(file), FIELD_NOTE("a map: write a file, atomically")},
    {.name = "restore", .type = FIELD_STRING, OP_KEY(restore), .min = 2, .max = FILE_PATH_MAX - 1, FIELD_NOTE("a file whose backup takes its place again")},
    {.name = "wait_for", .type = FIELD_NODE, OP_KEY(wait_for), FIELD_NOTE("a map: wait for a port, a path or a service")},
    {.name = "check", .type = FIELD_TEXT, OP_KEY(check), .min = 1, .max = COMMAND_MAX, FIELD_NOTE("a command line that changes nothing")},
    {.name = "env", .type = FIELD_NODE, OP_KEY(env), FIELD_NOTE("variables of its environment: a map")},
    {FIELD_DEFAULT("timeout", "30s"), .type = FIELD_DURATION, OP_KEY(timeout_ms), .min = 1000, .max = OP_TIMEOUT_MAX_MS, FIELD_NOTE("time limit of one attempt")},
    {.name = NULL},
};

static const char targets[] = "host\0hub\0";

struct step_input {
    struct op_input op; /* first: both tables are bound at once */
    const char *name, *when, *reg;
    const struct node *rollback;
    uint32_t delay_ms;
    int retries, target;
    bool idempotent, ignore_errors;
};
#define STEP_KEY(member) FIELD_AT(struct step_input, member)
const struct field playbook_step_fields[] = {
    {FIELD_REQUIRED("name", "what the step is called in reports"), .type = FIELD_STRING, STEP_KEY(name), .min = 1, .max = PLAYBOOK_NAME_MAX},
    {.name = "when", .type = FIELD_STRING, STEP_KEY(when), .min = 1, .max = 1000, FIELD_NOTE("it is skipped unless this is true")},
    {FIELD_DEFAULT("retries", "0"), .type = FIELD_INT, STEP_KEY(retries), .min = 0, .max = RETRIES_MAX, FIELD_NOTE("attempts after the first one")},
    {FIELD_DEFAULT("delay", "0"), .type = FIELD_DURATION, STEP_KEY(delay_ms), .min = 0, .max = 3600000, FIELD_NOTE("before each attempt")},
    {.name = "register", .type = FIELD_STRING, STEP_KEY(reg), .min = 1, .max = PLAYBOOK_NAME_MAX, FIELD_NOTE("a name for its exit status and output")},
    {FIELD_DEFAULT("ignore_errors", "false"), .type = FIELD_BOOL, STEP_KEY(ignore_errors), FIELD_NOTE("its exit status and time limit fail nothing")},
    {FIELD_DEFAULT("idempotent", "false"), .type = FIELD_BOOL, STEP_KEY(idempotent), FIELD_NOTE("may be done twice; default: true for check and wait_for")},
    {.name = "target", .type = FIELD_WORD, STEP_KEY(target), .words = targets, FIELD_NOTE("host or hub; default: the playbook's")},
    {.name = "rollback", .type = FIELD_NODE, STEP_KEY(rollback), FIELD_NOTE("what undoes it: a list")},
    {.name = NULL},
};

struct play_input {
    const char *name, *description;
    const char *hosts[PLAYBOOK_HOSTS];
    unsigned host_count;
    const struct node *vars, *steps;
    int target, on_restart;
    uint32_t commit_within_ms;
};
static const struct field_list host_list = {.count = offsetof(struct play_input, host_count), .cap = PLAYBOOK_HOSTS};
#define PLAY_KEY(member) FIELD_AT(struct play_input, member)
const struct field playbook_fields[] = {
    {FIELD_REQUIRED("name", "what the playbook is called in reports"), .type = FIELD_STRING, PLAY_KEY(name), .min = 1, .max = PLAYBOOK_NAME_MAX},
    {.name = "description", .type = FIELD_STRING, PLAY_KEY(description), FIELD_NOTE("for people")},
    {.name = "hosts", .type = FIELD_LIST, PLAY_KEY(hosts), .list = &host_list, FIELD_NOTE("patterns of the hosts that it is for; none: all")},
    {.name = "vars", .type = FIELD_NODE, PLAY_KEY(vars), FIELD_NOTE("variables: a map")},
    {FIELD_DEFAULT("target", "host"), .type = FIELD_WORD, PLAY_KEY(target), .words = targets, FIELD_NOTE("where the steps are carried out: host or hub")},
    {.name = "commit_within", .type = FIELD_DURATION, PLAY_KEY(commit_within_ms), .min = 5000, .max = OP_TIMEOUT_MAX_MS, FIELD_NOTE("the device undoes everything by itself unless the next step, or the end, is heard of in time")},
    {FIELD_DEFAULT("on_restart", "rollback"), .type = FIELD_WORD, PLAY_KEY(on_restart), .words = playbook_restart_words, FIELD_NOTE("what an interrupted run does: continue, rollback or stop")},
    {FIELD_REQUIRED("steps", "a list of what is done"), .type = FIELD_NODE, PLAY_KEY(steps)},
    {.name = NULL},
};

/* ---- the tree ---- */

struct binding {
    struct playbook *p;
    struct config *c;
    unsigned known; /* registers that have been set where it is */
    unsigned used_vars; /* a bit each */
    unsigned used_registers;
    bool in_undo; /* a rollback is being bound */
    char where[WHERE_BYTES]; /* of the step or op that is being bound */
};

static void complain(const struct binding *b, const struct node *n, const char *key, const char *what, const char *more)
{
    char buf[WHERE_BYTES + 64];
    struct text where;

    text_init(&where, buf, sizeof buf);
    if (key)
        config_where_key(&where, b->where, key);
    else
        text_str(&where, b->where);
    config_error(b->c, n, buf, what, more, (char *)0);
}

static void complain_item(const struct binding *b, const struct node *n, const char *key, unsigned index, const char *what, const char *more)
{
    char buf[80];
    struct text where;

    text_init(&where, buf, sizeof buf);
    config_where_item(&where, key, index);
    complain(b, n, buf, what, more);
}

static void warn(const struct binding *b, const struct node *n, const char *what)
{
    config_warn(b->c, n, b->where, what, (char *)0);
}

/* ---- templates ---- */

enum { PLAY_ALL = PLAY_VARS | PLAY_EVENT | PLAY_REGISTERS };

/** Why a source may not be used; null: it may. */
static const char *source_fault(const struct binding *b, unsigned source, unsigned allowed)
{
    if (source == PLAY_REGISTERS && b->in_undo && b->p->commit_within_ms > 0)
        return HINTED("cannot be known", ": by commit_within the device has the rollbacks before the first step");
    if (source & allowed)
        return NULL;
    return HINTED("may not stand here", ": what an event or an output says chooses no file and no program; use vars");
}

/** What is wrong with one template; null: nothing. */
static const char *piece_fault(struct binding *b, const struct play_piece *piece, unsigned allowed)
{
    const char *why = NULL;

    if (piece->kind != PLAY_NAMED)
        return NULL;
    const struct play_name n = play_name(b->p, piece->name, b->known, &why);
    if (n.kind == PLAY_UNKNOWN)
        return why;
    if (n.kind == PLAY_VAR)
        b->used_vars |= 1u << n.index;
    if (play_source(&n) == PLAY_REGISTERS)
        b->used_registers |= 1u << n.index;
    if (piece->fallback_kind == PLAY_FALLBACK_VAR) {
        const struct play_name fallback = play_name(b->p, piece->fallback, 0, &why);
        if (fallback.kind != PLAY_VAR)
            return why;
        b->used_vars |= 1u << fallback.index;
    }
    return source_fault(b, play_source(&n), allowed);
}

static void complain_piece(const struct binding *b, const struct node *n, const char *key, struct slice name, const char *fault)
{
    char buf[PLAYBOOK_NAME_MAX + 64];
    struct text t;

    text_init(&t, buf, sizeof buf);
    text_str(&t, "{{");
    text_bytes(&t, name.ptr, name.len < PLAYBOOK_NAME_MAX ? name.len : PLAYBOOK_NAME_MAX);
    text_str(&t, "}} ");
    complain(b, n, key, buf, fault);
}

/** Of whose templates only those from `allowed` sources may be used. */
static void check_text(struct binding *b, const struct node *n, const char *key, const char *text, unsigned allowed)
{
    struct play_piece piece;
    const char *why;
    int err;

    while ((err = play_cut(&text, &piece, &why)) > 0) {
        const char *fault = piece_fault(b, &piece, allowed);
        if (fault)
            complain_piece(b, n, key, piece.name, fault);
    }
    if (err < 0)
        complain(b, n, key, why, "");
}

/** A command line for a shell has none: a value would be read as a part of it. */
static void check_shell(struct binding *b, const struct node *n, const char *key, const char *text)
{
    const char *at = strstr(text, "{{");

    for (; at; at = strstr(at + 1, "{{")) {
        const char c = at[2 + strspn(at + 2, " \t")];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '"')
            break;
    }
    if (at)
        complain(b, n, key, "no template may stand in a command line, whose text a shell would make of it",
                 HINT("; give it as `env: {NEFIA_X: \"{{…}}\"}` and write \"$NEFIA_X\", or use argv"));
}

static void check_when(struct binding *b, const struct node *step, const char *text)
{
    const struct node *n = node_child(b->c, step, "when");
    struct play_term term;
    unsigned terms = 0;
    const char *why;
    int err;

    while ((err = play_cut_term(&text, &term, &why)) > 0) {
        const struct play_piece *const sides[] = {&term.left, &term.right};
        for (unsigned i = 0; i < ARRAY_SIZE(sides); i++) {
            const char *fault = piece_fault(b, sides[i], PLAY_ALL);
            if (fault)
                complain_piece(b, n, "when", sides[i]->name, fault);
        }
        terms++;
    }
    if (err < 0)
        complain(b, n, "when", why, "");
    else if (terms > PLAYBOOK_TERMS)
        complain(b, n, "when", "more than " LITERAL(PLAYBOOK_TERMS) " comparisons", "");
}

/* ---- one operation ---- */

/** Is the value of a key of the present map of that type? Otherwise it is reported. */
static bool is_below(const struct binding *b, const struct node *n, const char *key, enum node_type type)
{
    char buf[WHERE_BYTES + 24];
    struct text where;

    text_init(&where, buf, sizeof buf);
    config_where_key(&where, b->where, key);
    return config_is(b->c, n, buf, type);
}

/** Is that a shell, also as the argument of busybox, env or the like? */
static bool is_shell(const char *element)
{
    static const char words[] = "sh\0ash\0bash\0dash\0ksh\0mksh\0zsh\0hush\0";
    const char *slash = strrchr(element, '/'), *name = slash ? slash + 1 : element;

    return word_index(words, (struct slice){name, strlen(name)}) >= 0;
}

/** What of an argv a shell reads as a program: the first argument that is no option, behind -c. */
struct shell_scan {
    bool shell, program;
};

static bool is_program(struct shell_scan *scan, const char *element)
{
    const bool option = element[0] == '-' || element[0] == '+';

    if (scan->program && !option) {
        *scan = (struct shell_scan){.shell = false};
        return true;
    }
    if (scan->shell && option)
        scan->program |= element[1] != '-' && strchr(element, 'c') != NULL;
    else
        scan->shell = is_shell(element);
    return false;
}

/** A list of 1 to OP_ARGS texts. Return: it, or null after a report. */
static const struct node *bind_argv(struct binding *b, const struct node *n)
{
    struct shell_scan scan = {.shell = false};
    unsigned index = 0;
    bool fine = true;

    if (!is_below(b, n, "argv", NODE_LIST))
        return NULL;
    for (const struct node *i = node_first(b->c, n); i; i = node_next(b->c, i), index++) {
        if (i->type != NODE_SCALAR) {
            complain_item(b, i, "argv", index, "is no text", "");
            fine = false;
            continue;
        }
        char key[24];
        struct text t;
        text_init(&t, key, sizeof key);
        config_where_item(&t, "argv", index);
        if (is_program(&scan, i->value))
            check_shell(b, i, key, i->value);
        else
            check_text(b, i, key, i->value, index == 0 ? PLAY_VARS : PLAY_ALL);
    }
    if (index > OP_ARGS || index == 0)
        complain(b, n, "argv", "is not a list of 1 to " LITERAL(OP_ARGS) " texts", "");
    return fine && index > 0 && index <= OP_ARGS ? n : NULL;
}

/** NEFIA_CAUSE is the program's own. */
static bool is_variable(const char *name)
{
    return op_is_variable((struct slice){name, strlen(name)}) && !str_eq(name, "NEFIA_CAUSE");
}

static const struct node *bind_env(struct binding *b, const struct node *n)
{
    bool fine = true;

    if (!is_below(b, n, "env", NODE_MAP))
        return NULL;
    for (const struct node *i = node_first(b->c, n); i; i = node_next(b->c, i)) {
        char key[OP_ENV_NAME + 8];
        struct text t;
        text_init(&t, key, sizeof key);
        config_where_key(&t, "env", i->key);
        if (!is_variable(i->key))
            complain(b, i, key, "is not the name of a variable that may be set",
                     HINT("; it is NEFIA_ and capital letters, digits and _, and not NEFIA_CAUSE"));
        if (i->type == NODE_SCALAR)
            check_text(b, i, key, i->value, PLAY_ALL);
        else
            complain(b, i, key, "is no text", "");
        fine &= i->type == NODE_SCALAR;
    }
    if (n->children > PLAYBOOK_ENV)
        complain(b, n, "env", "has more than " LITERAL(PLAYBOOK_ENV) " variables", "");
    return fine && n->children <= PLAYBOOK_ENV ? n : NULL;
}

/** The map of a key, bound; `where` is that of the key during it. */
static void bind_below(struct binding *b, const struct node *n, const char *key, const struct field *fields, void *out)
{
    char buf[WHERE_BYTES + 24];
    struct text where;

    text_init(&where, buf, sizeof buf);
    config_where_key(&where, b->where, key);
    config_bind(b->c, n, buf, fields, out);
}

static void bind_service(struct binding *b, const struct node *n, struct playbook_op *op)
{
    struct service_input in = {0};

    bind_below(b, n, "service", playbook_service_fields, &in);
    op->kind = OP_SERVICE;
    op->text = in.name;
    op->verb = in.verb > 0 ? (uint8_t)in.verb : 0;
    if (in.name)
        check_text(b, node_child(b->c, n, "name"), "service.name", in.name, PLAY_ALL);
}

static void bind_file(struct binding *b, const struct node *n, struct playbook_op *op)
{
    struct file_input in = {0};

    bind_below(b, n, "file", playbook_file_fields, &in);
    *op = (struct playbook_op){.kind = OP_FILE,
                               .text = in.path,
                               .content = in.content,
                               .from = in.from,
                               .mode = in.mode,
                               .backup = in.backup,
                               .timeout_ms = op->timeout_ms};
    if (in.path)
        check_text(b, node_child(b->c, n, "path"), "file.path", in.path, PLAY_VARS);
    if (in.from)
        check_text(b, node_child(b->c, n, "from"), "file.from", in.from, PLAY_VARS);
    if (in.content)
        check_text(b, node_child(b->c, n, "content"), "file.content", in.content, PLAY_ALL);
    if (n->type == NODE_MAP && !in.content == !in.from)
        complain(b, n, "file", in.from ? "has both content and from" : "has neither content nor from", HINT("; one of them says what the file gets"));
}

static void bind_wait(struct binding *b, const struct node *n, struct playbook_op *op)
{
    static const char keys[] = "wait_for.port\0wait_for.path\0wait_for.service\0";
    struct wait_input in = {.state = 0};
    unsigned given = 0;

    bind_below(b, n, "wait_for", playbook_wait_fields, &in);
    op->kind = OP_WAIT;
    for (unsigned i = 0; i < ARRAY_SIZE(in.what); i++) {
        if (!in.what[i])
            continue;
        op->wait = (uint8_t)i;
        op->text = in.what[i];
        given++;
        check_text(b, n, word_at(keys, i), in.what[i], i == OP_WAIT_PATH ? PLAY_VARS : PLAY_ALL);
    }
    if (n->type == NODE_MAP && given != 1)
        complain(b, n, "wait_for", given > 1 ? "says more than one thing" : "says nothing", HINT("; one of port, path and service is wanted"));
    if (op->wait == OP_WAIT_SERVICE)
        op->state = (uint8_t)(in.state + (in.state > 0 ? SERVICE_ACTIVE : 0));
    else if (in.state > 0)
        complain(b, n, "wait_for.state", "is of no service", "");
}

static void bind_kind(struct binding *b, const struct node *n, const struct op_input *in, struct playbook_op *op)
{
    if (in->run || in->check) {
        const char *key = in->run ? "run" : "check";
        op->kind = OP_RUN;
        op->text = in->run ? in->run : in->check;
        op->check = !in->run;
        check_shell(b, node_child(b->c, n, key), key, op->text);
    } else if (in->argv) {
        op->kind = OP_ARGV;
        op->argv = bind_argv(b, in->argv);
    } else if (in->service) {
        bind_service(b, in->service, op);
    } else if (in->file) {
        bind_file(b, in->file, op);
    } else if (in->wait_for) {
        bind_wait(b, in->wait_for, op);
    } else if (in->restore) {
        op->kind = OP_RESTORE;
        op->text = in->restore;
        check_text(b, node_child(b->c, n, "restore"), "restore", op->text, PLAY_VARS);
    }
}

/** Fill it in as far as the variables of the playbook do, and see whether it could be carried out. */
static void try_op(struct binding *b, const struct node *n, const struct playbook_op *op)
{
    char why_buf[WHY_BYTES], strings[OP_TEXT_BYTES];
    struct play_filler f = {.book = b->p, .plan = true};
    struct text why, text;
    struct op filled;

    text_init(&why, why_buf, sizeof why_buf);
    text_init(&text, strings, sizeof strings);
    if (play_op(&f, op, &filled, &text, &why) < 0)
        complain(b, n, NULL, why.buf, "");
}

/** How many things to do does the map name? */
static unsigned count_kinds(const struct binding *b, const struct node *map)
{
    static const char keys[] = "run\0argv\0service\0file\0restore\0wait_for\0check\0";
    unsigned count = 0;

    for (const char *key = keys; *key; key = word_at(key, 1))
        count += node_child(b->c, map, key) != NULL;
    return count;
}

/** Bind what is done. Return: whether there is one thing to do, without faults. */
static bool bind_op(struct binding *b, const struct node *n, const struct op_input *in, struct playbook_op *op)
{
    const unsigned errors = b->c->errors;
    const unsigned given = count_kinds(b, n);
    const bool command = in->run || in->check || in->argv;

    *op = (struct playbook_op){.timeout_ms = in->timeout_ms, .line = n->line};
    if (given != 1) {
        complain(b, n, NULL, given > 1 ? "says more than one thing to do" : "says nothing to do",
                 HINT("; one of run, argv, service, file, restore, wait_for and check is wanted"));
        return false;
    }
    bind_kind(b, n, in, op);
    if (in->env && !command)
        complain(b, in->env, "env", "only commands have an environment", HINT("; remove it"));
    else if (in->env)
        op->env = bind_env(b, in->env);
    if (b->c->errors == errors && (op->text || op->argv))
        try_op(b, n, op);
    return b->c->errors == errors;
}

/* ---- steps ---- */

static bool changes_something(const struct playbook_op *op)
{
    return !op->check && op->kind != OP_WAIT;
}

static void bind_undo(struct binding *b, const struct node *n, const char *where, struct playbook_step *step)
{
    struct op_input in = {0};
    char kept[WHERE_BYTES];
    struct text t;

    memcpy(kept, b->where, sizeof kept);
    text_init(&t, b->where, sizeof b->where);
    text_str(&t, where);
    if (config_is(b->c, n, b->where, NODE_MAP)) {
        config_bind(b->c, n, b->where, playbook_op_fields, &in);
        if (bind_op(b, n, &in, &b->p->undos[b->p->undo_count])) {
            b->p->undo_count++;
            step->undo_count++;
        }
    }
    memcpy(b->where, kept, sizeof kept);
}

static bool has_room(const struct binding *b, const struct node *n, const struct playbook_step *step)
{
    if (step->undo_count == PLAYBOOK_UNDOS_OF_STEP)
        complain(b, n, "rollback", "has more than " LITERAL(PLAYBOOK_UNDOS_OF_STEP) " items", "");
    else if (b->p->undo_count == PLAYBOOK_UNDOS)
        complain(b, n, "rollback", "the playbook has more than " LITERAL(PLAYBOOK_UNDOS) " of them", "");
    else
        return true;
    return false;
}

static void bind_rollback(struct binding *b, const struct node *list, struct playbook_step *step)
{
    struct text where;
    char buf[WHERE_BYTES];
    unsigned index = 0;

    if (!is_below(b, list, "rollback", NODE_LIST))
        return;
    b->in_undo = true;
    for (const struct node *n = node_first(b->c, list); n && has_room(b, n, step); n = node_next(b->c, n)) {
        text_init(&where, buf, sizeof buf);
        config_where_key(&where, b->where, "rollback");
        config_where_item(&where, "", index++);
        bind_undo(b, n, buf, step);
    }
    b->in_undo = false;
}

/** A file that was replaced, and whose backup was kept, is restored where nothing else is said. */
static void default_rollback(struct binding *b, const struct node *n, struct playbook_step *step)
{
    if (step->op.kind != OP_FILE || !step->op.backup || !step->op.text || !has_room(b, n, step))
        return;
    b->p->undos[b->p->undo_count++] =
        (struct playbook_op){.kind = OP_RESTORE, .text = step->op.text, .timeout_ms = step->op.timeout_ms, .line = step->op.line};
    step->undo_count++;
}

static int16_t add_register(struct binding *b, const struct node *n, const char *name)
{
    struct playbook *p = b->p;

    if (!name)
        return -1;
    if (!play_is_name((struct slice){name, strlen(name)}) || str_eq(name, "event") || str_eq(name, "vars") || str_eq(name, "host")) {
        complain(b, n, "register", "is no name", HINT("; letters, digits and _ make one that is not event, vars or host"));
        return -1;
    }
    for (unsigned i = 0; i < p->register_count; i++)
        if (str_eq(p->registers[i], name))
            complain(b, n, "register", "is that of an earlier step", "");
    if (p->register_count == PLAYBOOK_REGISTERS) {
        complain(b, n, "register", "the playbook has more than " LITERAL(PLAYBOOK_REGISTERS) " of them", "");
        return -1;
    }
    p->registers[p->register_count] = name;
    return (int16_t)p->register_count++;
}

static void check_step_name(const struct binding *b, const struct node *n, const char *name)
{
    for (unsigned i = 0; i < b->p->step_count; i++)
        if (b->p->steps[i].name && str_eq(b->p->steps[i].name, name))
            complain(b, node_child(b->c, n, "name"), "name", "is that of an earlier step", "");
}

/** What the device is to undo by itself can only be its own. */
static void check_commit(const struct binding *b, const struct node *n, const struct playbook_step *s, bool has_rollback)
{
    if (b->p->commit_within_ms == 0)
        return;
    if (s->on_hub && s->undo_count > 0)
        complain(b, n, "rollback", "the device cannot undo by commit_within what is done on the hub", HINT("; leave it out"));
    else if (!s->on_hub && !has_rollback && s->undo_count == 0 && changes_something(&s->op))
        warn(b, n, "has no rollback: commit_within cannot undo it");
}

static void bind_step_op(struct binding *b, const struct node *n, const struct step_input *in, struct playbook_step *s)
{
    (void)bind_op(b, n, &in->op, &s->op);
    s->undo_first = (uint8_t)b->p->undo_count;
    s->reg = add_register(b, node_child(b->c, n, "register"), in->reg);
    b->known = b->p->register_count; /* its rollback may use its own output */
    if (in->rollback)
        bind_rollback(b, in->rollback, s);
    else
        default_rollback(b, n, s);
}

static void bind_step(struct binding *b, const struct node *n)
{
    static const struct field *const tables[] = {playbook_op_fields, playbook_step_fields, NULL};
    struct playbook_step *s = &b->p->steps[b->p->step_count];
    struct step_input in = {0};

    if (!config_is(b->c, n, b->where, NODE_MAP))
        return;
    config_bind_tables(b->c, n, b->where, tables, &in);
    *s = (struct playbook_step){.name = in.name ? in.name : "",
                                .when = in.when,
                                .delay_ms = in.delay_ms,
                                .retries = (uint8_t)in.retries,
                                .ignore_errors = in.ignore_errors,
                                .on_hub = in.target < 0 ? b->p->on_hub : in.target == 1};
    check_step_name(b, n, s->name);
    if (in.when)
        check_when(b, n, in.when);
    bind_step_op(b, n, &in, s);
    s->idempotent = config_given(b->c, n, "idempotent") ? in.idempotent : !changes_something(&s->op);
    check_commit(b, n, s, in.rollback != NULL);
    b->p->step_count++;
}

static void bind_steps(struct binding *b, const struct node *list)
{
    struct text where;
    unsigned index = 0;

    if (!config_is(b->c, list, "steps", NODE_LIST))
        return;
    if (list->children == 0 || list->children > PLAYBOOK_STEPS)
        config_error(b->c, list, "steps", "is not a list of 1 to " LITERAL(PLAYBOOK_STEPS) " steps", (char *)0);
    for (const struct node *n = node_first(b->c, list); n && index < PLAYBOOK_STEPS; n = node_next(b->c, n)) {
        text_init(&where, b->where, sizeof b->where);
        config_where_item(&where, "steps", index++);
        bind_step(b, n);
    }
}

/* ---- the whole ---- */

static void bind_var(struct binding *b, const struct node *n)
{
    struct playbook *p = b->p;
    const struct slice name = {n->key, strlen(n->key)};

    if (!play_is_name(name))
        complain(b, n, n->key, "is no name", HINT("; letters, digits and _ make one"));
    else if (n->type != NODE_SCALAR)
        complain(b, n, n->key, "is no text", "");
    else if (strstr(n->value, "{{"))
        complain(b, n, n->key, "no template may stand in a variable", HINT("; write it where the variable is used"));
    else
        p->vars[p->var_count++] = (struct playbook_var){n->key, n->value};
}

static void bind_vars(struct binding *b, const struct node *map)
{
    struct text where;

    if (!config_is(b->c, map, "vars", NODE_MAP))
        return;
    text_init(&where, b->where, sizeof b->where);
    text_str(&where, "vars");
    for (const struct node *n = node_first(b->c, map); n; n = node_next(b->c, n)) {
        if (b->p->var_count == PLAYBOOK_VARS) {
            complain(b, n, NULL, "more than " LITERAL(PLAYBOOK_VARS) " variables", "");
            return;
        }
        bind_var(b, n);
    }
}

static void bind_hosts(struct binding *b, const struct play_input *in, const struct node *n, struct pattern_tree *scratch)
{
    struct playbook *p = b->p;
    char why_buf[WHY_BYTES];
    struct text why;

    p->store = (struct matcher_store){.ops = p->ops, .ranges = p->ranges, .op_cap = ARRAY_SIZE(p->ops), .range_cap = ARRAY_SIZE(p->ranges)};
    for (unsigned i = 0; i < in->host_count; i++) {
        const char *re = in->hosts[i];
        text_init(&why, why_buf, sizeof why_buf);
        p->hosts[p->host_count] = re;
        if (matcher_compile(&p->matchers[p->host_count], &p->store, re, strlen(re), scratch, &why) < 0)
            config_error(b->c, n, "hosts", "\"", re, "\": ", why.buf, (char *)0);
        else
            p->host_count++;
    }
}

bool playbook_takes(const struct playbook *p, const char *host, struct matcher_work *work)
{
    for (unsigned i = 0; i < p->host_count; i++)
        if (matcher_find(&p->matchers[i], &p->store, work, host, strlen(host), NULL))
            return true;
    return p->host_count == 0;
}

static void warn_unused(const struct binding *b)
{
    const struct playbook *p = b->p;
    const struct node *vars = node_child(b->c, b->c->nodes, "vars");

    for (unsigned i = 0; i < p->var_count; i++)
        if (!(b->used_vars & 1u << i))
            config_warn(b->c, node_child(b->c, vars, p->vars[i].name), "vars", p->vars[i].name, " is not used", (char *)0);
    for (unsigned i = 0; i < p->register_count; i++)
        if (!(b->used_registers & 1u << i))
            config_warn(b->c, NULL, "steps", "register ", p->registers[i], " is not used", (char *)0);
}

/** The rollbacks travel to the device in one command. As written, where only a run knows more. */
static void check_list(struct binding *b, const struct node *n)
{
    char list_buf[PLAYBOOK_OP_BYTES], strings[OP_TEXT_BYTES], why_buf[WHY_BYTES];
    struct play_filler f = {.book = b->p, .plan = true};
    struct text list, why;
    struct op op = {.kind = OP_UNDO, .undo = OP_UNDO_BEGIN, .undo_run = "0123456789abcdef", .timeout_ms = OP_TIMEOUT_MS};

    text_init(&list, list_buf, sizeof list_buf);
    text_init(&why, why_buf, sizeof why_buf);
    if (play_undo_list(&f, &list, strings, NULL, &why) < 0)
        return; /* reported already */
    op.within_ms = b->p->commit_within_ms;
    op.undo_ops = (struct slice){list.buf, list.len};
    if (!list.truncated && play_op_bytes(&op, strings) >= 0)
        return;
    text_init(&list, list_buf, sizeof list_buf);
    text_str(&list, "the rollbacks of all steps are too much for one command to a device (");
    text_u64(&list, PLAYBOOK_OP_BYTES);
    text_str(&list, " bytes)");
    if (f.open)
        config_warn(b->c, n, "commit_within", list.buf, " unless the values of templates are short", (char *)0);
    else
        config_error(b->c, n, "commit_within", list.buf, (char *)0);
}

static uint64_t hash_text(uint64_t h, const char *s)
{
    do
        h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    while (*s++);
    return h;
}

/** FNV-1a of everything in the tree. */
static uint64_t print_of(const struct config *c)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (unsigned i = 0; i < c->nodes_len; i++) {
        const struct node *n = &c->nodes[i];
        const char shape[] = {(char)('0' + n->type), n->next ? '+' : '.', n->first ? '+' : '.', '\0'};
        h = hash_text(h, shape);
        h = hash_text(h, n->key ? n->key : "");
        h = hash_text(h, n->value ? n->value : "");
    }
    return h;
}

static bool is_all_on_hub(const struct playbook *p)
{
    for (unsigned i = 0; i < p->step_count; i++)
        if (!p->steps[i].on_hub)
            return false;
    return true;
}

int playbook_bind(struct playbook *p, struct config *c, struct pattern_tree *scratch)
{
    struct binding b = {.p = p, .c = c};
    struct play_input in = {0};
    const unsigned errors = c->errors;

    memset(p, 0, sizeof *p);
    p->nodes = c->nodes;
    p->print = print_of(c);
    config_bind(c, c->nodes, "", playbook_fields, &in);
    p->name = in.name ? in.name : "";
    p->on_restart = (enum playbook_restart)(in.on_restart < 0 ? PLAYBOOK_UNDO_ALL : in.on_restart);
    p->commit_within_ms = in.commit_within_ms;
    p->on_hub = in.target == 1;
    bind_hosts(&b, &in, node_child(c, c->nodes, "hosts"), scratch);
    bind_vars(&b, in.vars);
    bind_steps(&b, in.steps);
    const struct node *commit = node_child(c, c->nodes, "commit_within");
    if (p->commit_within_ms > 0 && p->step_count > 0 && is_all_on_hub(p))
        config_error(c, commit, "commit_within", "is for steps on a device", HINT("; remove it"), (char *)0);
    if (c->errors > errors)
        return NEFIA_EINVAL;
    if (p->commit_within_ms > 0)
        check_list(&b, commit);
    warn_unused(&b);
    return c->errors > errors ? NEFIA_EINVAL : 0;
}
