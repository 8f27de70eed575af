#include "nefia/ops/op.h"

#include <string.h>

#include "nefia/base/err.h"
#include "nefia/ops/service.h"
#include "nefia/sys/path.h"
#include "ops_int.h"

const char op_verb_words[] = "start\0stop\0restart\0reload\0";
static const char restart_words[] = "rollback\0continue\0";

enum {
    DEPTH = 7, /* {"undo":{"ops":[[STEP,{"argv":[ */
    MODE_DIGITS = 4,
    MODE_MOST = 0777,
};

/* ---- reading ---- */

struct reading {
    struct json_doc doc;
    struct op *op;
    struct text *text;
    const char *why;
};

static int wrong(struct reading *r, const char *why)
{
    r->why = why;
    return NEFIA_EINVAL;
}

/** Append string i with a NUL. Return: its length; negative. */
static long take(struct reading *r, unsigned i, const char **out)
{
    const size_t at = r->text->len;

    if (json_string(&r->doc, i, r->text) == NEFIA_EINVAL)
        return wrong(r, "a member of the operation is no text");
    text_char(r->text, '\0');
    if (r->text->truncated) {
        r->why = "the texts of the operation are too long";
        return NEFIA_ETOOBIG;
    }
    *out = r->text->buf + at;
    return (long)(r->text->len - 1 - at);
}

static int take_string(struct reading *r, unsigned i, const char **out)
{
    const long len = take(r, i, out);

    if (len < 0)
        return (int)len;
    return len > 0 && strlen(*out) == (size_t)len ? 0 : wrong(r, "a text of the operation is empty or has a NUL character");
}

static int take_path(struct reading *r, unsigned i, const char **out)
{
    const int err = take_string(r, i, out);

    if (err < 0)
        return err;
    return **out == '/' && strlen(*out) < FILE_PATH_MAX ? 0 : wrong(r, "a path of the operation is not absolute, or too long");
}

static int take_run_id(struct reading *r, unsigned i, const char **out)
{
    const int err = take_string(r, i, out);

    if (err < 0)
        return err;
    return strspn(*out, "0123456789abcdef") == OP_RUN_ID && strlen(*out) == OP_RUN_ID
               ? 0
               : wrong(r, "the run of a playbook is not " LITERAL(OP_RUN_ID) " hex digits");
}

static int take_number(struct reading *r, unsigned i, int64_t least, int64_t most, uint32_t *out)
{
    int64_t v;

    if (json_i64(&r->doc, i, &v) < 0 || v < least || v > most)
        return wrong(r, "a number of the operation is out of range");
    *out = (uint32_t)v;
    return 0;
}

static int take_service(struct reading *r, unsigned i, const char **out)
{
    const int err = take_string(r, i, out);

    if (err < 0)
        return err;
    return op_is_service(*out) ? 0 : wrong(r, "not the name of a service");
}

static int take_word(struct reading *r, unsigned i, const char *words)
{
    const int word = word_index(words, json_raw(&r->doc, i));

    return word >= 0 && json_at(&r->doc, i)->type == JSON_STRING ? word : wrong(r, "unknown word in the operation");
}

/** "0644", which cannot be 0000: that stands for none. A set-user-ID file is no configuration. */
static int take_mode(struct reading *r, unsigned i)
{
    const struct slice s = json_raw(&r->doc, i);
    unsigned mode = 0;

    for (size_t at = 0; at < s.len && at <= MODE_DIGITS; at++)
        mode = s.ptr[at] >= '0' && s.ptr[at] <= '7' ? mode * 8 + (unsigned)(s.ptr[at] - '0') : MODE_MOST + 1u;
    if (json_at(&r->doc, i)->type != JSON_STRING || s.len != MODE_DIGITS || mode == 0 || mode > MODE_MOST)
        return wrong(r, "mode is not four octal digits of permissions");
    r->op->mode = (uint16_t)mode;
    return 0;
}

enum shape { STRING, PATH, CONTENT, SERVICE, STATE, VERB, MODE, BACKUP, RUN_ID, WITHIN, RESTART, OPS };

/** What the object of a kind has. */
static const struct member {
    char name[10];
    uint8_t kind, shape;
    uint8_t which;   /* op->wait or op->undo: an object has only one of these */
    uint16_t offset; /* of a text */
} members[] = {
#define AT(member) offsetof(struct op, member)
    {"name", OP_SERVICE, SERVICE, 0, AT(service)},
    {"verb", OP_SERVICE, VERB, 0, 0},
    {"path", OP_FILE, PATH, 0, AT(path)},
    {"content", OP_FILE, CONTENT, 0, AT(content)},
    {"from", OP_FILE, PATH, 0, AT(from)},
    {"mode", OP_FILE, MODE, 0, 0},
    {"backup", OP_FILE, BACKUP, 0, 0},
    {"path", OP_RESTORE, PATH, 0, AT(path)},
    {"run", OP_RESTORE, RUN_ID, 0, AT(undo_run)},
    {"port", OP_WAIT, STRING, OP_WAIT_PORT, AT(port)},
    {"path", OP_WAIT, PATH, OP_WAIT_PATH, AT(path)},
    {"service", OP_WAIT, SERVICE, OP_WAIT_SERVICE, AT(service)},
    {"state", OP_WAIT, STATE, OP_WAIT_SERVICE, 0},
    {"begin", OP_UNDO, RUN_ID, OP_UNDO_BEGIN, AT(undo_run)},
    {"commit", OP_UNDO, RUN_ID, OP_UNDO_COMMIT, AT(undo_run)},
    {"rollback", OP_UNDO, RUN_ID, OP_UNDO_ROLLBACK, AT(undo_run)},
    {"within_ms", OP_UNDO, WITHIN, 0, 0},
    {"restart", OP_UNDO, RESTART, 0, 0},
    {"ops", OP_UNDO, OPS, 0, 0},
};

static int read_member(struct reading *r, const struct member *m, unsigned i)
{
    const enum json_type type = (enum json_type)json_at(&r->doc, i)->type;
    struct op *op = r->op;
    const char **text = (const char **)(void *)((char *)op + m->offset);
    long n = 0;

    switch ((enum shape)m->shape) {
    case STRING:
        return take_string(r, i, text);
    case PATH:
        return take_path(r, i, text);
    case CONTENT:
        n = take(r, i, text);
        op->content_len = n < 0 ? 0 : (size_t)n;
        return n < 0 ? (int)n : 0;
    case SERVICE:
        return take_service(r, i, text);
    case STATE:
        n = take_word(r, i, service_state_words);
        op->state = (uint8_t)(SERVICE_ACTIVE + n);
        return n < 0 ? (int)n : 0;
    case VERB:
        n = take_word(r, i, op_verb_words);
        op->verb = (enum op_verb)n;
        return n < 0 ? (int)n : 0;
    case MODE:
        return take_mode(r, i);
    case BACKUP:
        op->backup = type == JSON_TRUE;
        return op->backup || type == JSON_FALSE ? 0 : wrong(r, "backup is neither true nor false");
    case RUN_ID:
        return take_run_id(r, i, text);
    case WITHIN:
        return take_number(r, i, 1, OP_TIMEOUT_MAX_MS, &op->within_ms);
    case RESTART:
        n = take_word(r, i, restart_words);
        op->continues = n == 1;
        return n < 0 ? (int)n : 0;
    case OPS:
        op->undo_ops = json_raw(&r->doc, i);
        return type == JSON_ARRAY ? 0 : wrong(r, "ops is no list");
    }
    return 0;
}

/** Is what was given an op of its kind? */
static bool is_complete(const struct op *op, unsigned given)
{
    switch (op->kind) {
    case OP_SERVICE:
        return given == 3;
    case OP_FILE:
        return op->path && !op->content != !op->from;
    case OP_RESTORE:
        return op->path;
    case OP_WAIT:
        return !!op->port + !!op->path + !!op->service == 1 && (!op->state || op->service);
    case OP_UNDO:
        if (op->undo != OP_UNDO_BEGIN)
            return given == 1u << op->undo;
        return op->within_ms > 0 && op->undo_ops.ptr && !(given & (1u << OP_UNDO_COMMIT | 1u << OP_UNDO_ROLLBACK)) && op->undo_run;
    case OP_RUN:
    case OP_ARGV:
        break;
    }
    return true;
}

static int read_object(struct reading *r, unsigned object)
{
    const struct json_doc *d = &r->doc;
    struct op *op = r->op;
    unsigned given = 0, first = 0;
    int err = 0;

    while (first < ARRAY_SIZE(members) && members[first].kind != op->kind)
        first++;
    if (json_at(d, object)->type != JSON_OBJECT)
        return wrong(r, "an operation's member is no object");
    for (unsigned key = object + 1; err == 0 && key < json_at(d, object)->next; key = json_at(d, key + 1)->next) {
        unsigned i = first;
        while (i < ARRAY_SIZE(members) && members[i].kind == op->kind && !slice_eq(json_raw(d, key), members[i].name))
            i++;
        if (i == ARRAY_SIZE(members) || members[i].kind != op->kind)
            return wrong(r, "unknown member of an operation");
        given |= 1u << (i - first);
        if (op->kind == OP_WAIT)
            op->wait = (enum op_wait)members[i].which;
        if (members[i].shape == RUN_ID)
            op->undo = (enum op_undo)members[i].which;
        err = read_member(r, &members[i], key + 1);
    }
    if (err == 0 && !is_complete(op, given))
        return wrong(r, "an operation lacks a member, or has one too many");
    return err;
}

static int read_argv(struct reading *r, unsigned array)
{
    const struct json_doc *d = &r->doc;
    unsigned n = 0;
    int err = 0;

    if (json_at(d, array)->type != JSON_ARRAY || json_at(d, array)->size == 0 || json_at(d, array)->size > OP_ARGS)
        return wrong(r, "argv is no list of 1 to " LITERAL(OP_ARGS) " texts");
    for (unsigned i = array + 1; err == 0 && i < json_at(d, array)->next; i = json_at(d, i)->next) {
        const long len = take(r, i, &r->op->argv[n]);
        err = len < 0 ? (int)len : strlen(r->op->argv[n]) == (size_t)len ? 0 : wrong(r, "argv has a NUL character");
        n++;
    }
    if (err == 0 && r->op->argv[0][0] != '/')
        return wrong(r, "argv does not begin with an absolute path");
    return err;
}

bool op_is_variable(struct slice name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", prefix[] = "NEFIA_";

    return name.len >= sizeof prefix && name.len <= OP_ENV_NAME && memcmp(name.ptr, prefix, sizeof prefix - 1) == 0 &&
           strspn(name.ptr, allowed) == name.len;
}

/** One variable: "NAME=value". */
static int read_variable(struct reading *r, unsigned key)
{
    const struct slice name = json_raw(&r->doc, key);
    const char *value;

    if (!op_is_variable(name))
        return wrong(r, "env has a name that is not NEFIA_ and capital letters, digits and _");
    if (r->op->env_count == OP_ENV)
        return wrong(r, "env has more than " LITERAL(OP_ENV) " variables");
    const size_t at = r->text->len;
    text_bytes(r->text, name.ptr, name.len);
    text_char(r->text, '=');
    const long len = take(r, key + 1, &value);
    if (len < 0)
        return (int)len;
    if (strlen(value) != (size_t)len)
        return wrong(r, "env has a NUL character");
    r->op->env[r->op->env_count++] = r->text->buf + at;
    return 0;
}

static int read_env(struct reading *r, unsigned object)
{
    int err = 0;

    if (json_at(&r->doc, object)->type != JSON_OBJECT)
        return wrong(r, "env is no object");
    for (unsigned key = object + 1; err == 0 && key < json_at(&r->doc, object)->next; key = json_at(&r->doc, key + 1)->next)
        err = read_variable(r, key);
    return err;
}

static int read_step_of(struct reading *r, unsigned array)
{
    const struct json_token *t = json_at(&r->doc, array);
    uint32_t step = 0;

    if (t->type != JSON_ARRAY || t->size != 2)
        return wrong(r, "of is not a run and a step");
    int err = take_run_id(r, array + 1, &r->op->step_of);
    if (err == 0)
        err = take_number(r, array + 2, 0, OP_STEPS - 1, &step);
    r->op->step = step;
    return err;
}

/** In the order of enum op_kind, and then what stands beside them. */
static const char root_words[] = "run\0argv\0service\0file\0restore\0wait_for\0undo\0timeout_ms\0env\0of\0";
enum { ROOT_TIMEOUT = OP_UNDO + 1, ROOT_ENV, ROOT_OF };

static int read_root(struct reading *r, int which, unsigned value)
{
    struct op *op = r->op;

    if (which == ROOT_TIMEOUT)
        return take_number(r, value, 1, OP_TIMEOUT_MAX_MS, &op->timeout_ms);
    if (which == ROOT_ENV)
        return read_env(r, value);
    if (which == ROOT_OF)
        return read_step_of(r, value);
    op->kind = (enum op_kind)which;
    if (op->kind == OP_RUN)
        return take_string(r, value, &op->run);
    return op->kind == OP_ARGV ? read_argv(r, value) : read_object(r, value);
}

static int read_op(struct reading *r)
{
    unsigned kinds = 0;
    int err = 0;

    if (json_at(&r->doc, 0)->type != JSON_OBJECT)
        return wrong(r, "the operation is no object");
    for (unsigned key = 1; err == 0 && key < json_at(&r->doc, 0)->next; key = json_at(&r->doc, key + 1)->next) {
        const int which = word_index(root_words, json_raw(&r->doc, key));
        if (which < 0)
            return wrong(r, "unknown member of an operation");
        kinds += which <= OP_UNDO;
        err = read_root(r, which, key + 1);
    }
    if (err == 0 && (kinds != 1 || (r->op->kind == OP_UNDO && r->op->step_of)))
        return wrong(r, "an operation lacks a member, or has one too many");
    return err;
}

int op_read(struct op *op, struct slice json, struct text *text, struct json_token *tokens, unsigned cap, const char **why)
{
    struct reading r = {.op = op, .text = text};
    int err = json_parse(&r.doc, json.ptr, json.len, tokens, cap, DEPTH, NULL);

    memset(op, 0, sizeof *op);
    op->timeout_ms = OP_TIMEOUT_MS;
    r.why = err == NEFIA_EFULL ? "the operation has too many members" : "the operation is no JSON";
    if (err < 0)
        err = err == NEFIA_EFULL ? NEFIA_ETOOBIG : NEFIA_ESYNTAX;
    else
        err = read_op(&r);
    *why = err < 0 ? r.why : NULL;
    return err;
}

/* ---- writing ---- */

static void put_mode(struct json_writer *w, unsigned mode)
{
    char digits[MODE_DIGITS + 1];

    if (mode == 0)
        return;
    for (int i = MODE_DIGITS; i-- > 0; mode /= 8)
        digits[i] = (char)('0' + mode % 8);
    digits[MODE_DIGITS] = '\0';
    json_put_string(w, "mode", digits);
}

static void put_file(const struct op *op, struct json_writer *w)
{
    json_put_string(w, "path", op->path);
    if (op->from)
        json_put_string(w, "from", op->from);
    else
        json_put_bytes(w, "content", op->content, op->content_len);
    put_mode(w, op->mode);
    if (op->backup)
        json_put_bool(w, "backup", true);
}

static void put_undo(const struct op *op, struct json_writer *w)
{
    json_put_string(w, op->undo == OP_UNDO_BEGIN ? "begin" : op->undo == OP_UNDO_COMMIT ? "commit" : "rollback", op->undo_run);
    if (op->undo != OP_UNDO_BEGIN)
        return;
    json_put_u64(w, "within_ms", op->within_ms);
    json_put_string(w, "restart", word_at(restart_words, op->continues));
    json_put_raw(w, "ops", op->undo_ops.ptr, op->undo_ops.len);
}

static void put_members(const struct op *op, struct json_writer *w)
{
    switch (op->kind) {
    case OP_SERVICE:
        json_put_string(w, "name", op->service);
        json_put_string(w, "verb", word_at(op_verb_words, op->verb));
        break;
    case OP_FILE:
        put_file(op, w);
        break;
    case OP_RESTORE:
        json_put_string(w, "path", op->path);
        if (op->undo_run)
            json_put_string(w, "run", op->undo_run);
        break;
    case OP_WAIT:
        json_put_string(w, op->port ? "port" : op->path ? "path" : "service", op->port ? op->port : op->path ? op->path : op->service);
        if (op->state)
            json_put_string(w, "state", word_at(service_state_words, op->state - SERVICE_ACTIVE));
        break;
    case OP_UNDO:
        put_undo(op, w);
        break;
    case OP_RUN:
    case OP_ARGV:
        break;
    }
}

static void put_env(const struct op *op, struct json_writer *w)
{
    char name[OP_ENV_NAME + 1];
    struct text t;

    json_object(w, "env");
    for (unsigned i = 0; i < op->env_count; i++) {
        const char *value = strchr(op->env[i], '=');
        text_init(&t, name, sizeof name);
        text_bytes(&t, op->env[i], (size_t)(value - op->env[i]));
        json_put_string(w, name, value + 1);
    }
    json_end_object(w);
}

void op_write(const struct op *op, struct json_writer *w, const char *key)
{
    const char *kind = word_at(root_words, op->kind);

    json_object(w, key);
    if (op->kind == OP_RUN) {
        json_put_string(w, kind, op->run);
    } else if (op->kind == OP_ARGV) {
        json_array(w, kind);
        for (unsigned i = 0; op->argv[i]; i++)
            json_put_string(w, NULL, op->argv[i]);
        json_end_array(w);
    } else {
        json_object(w, kind);
        put_members(op, w);
        json_end_object(w);
    }
    json_put_u64(w, "timeout_ms", op->timeout_ms);
    if (op->env_count > 0)
        put_env(op, w);
    if (op->step_of) {
        json_array(w, "of");
        json_put_string(w, NULL, op->step_of);
        json_put_u64(w, NULL, op->step);
        json_end_array(w);
    }
    json_end_object(w);
}

/* ---- may it be done ---- */

/** As a shell reads one word. What is plain stays as it is, so that patterns match what people write. */
static void put_word(struct text *t, const char *word)
{
    if (*word && word[text_word_span(word, "@%+=:,./-")] == '\0') {
        text_str(t, word);
        return;
    }
    text_char(t, '\'');
    for (; *word; word++)
        if (*word == '\'')
            text_str(t, "'\\''");
        else
            text_bytes(t, word, 1);
    text_char(t, '\'');
}

unsigned op_subject(const struct op *op, struct text *text, const char **command, const char *paths[2])
{
    *command = op->kind == OP_RUN ? op->run : NULL;
    paths[0] = op->path;
    paths[1] = op->from;
    if (op->kind == OP_ARGV || op->kind == OP_SERVICE)
        *command = text->buf + text->len;
    for (unsigned i = 0; op->kind == OP_ARGV && op->argv[i]; i++) {
        if (i > 0)
            text_char(text, ' ');
        put_word(text, op->argv[i]);
    }
    if (op->kind == OP_SERVICE) {
        text_str(text, "service ");
        text_str(text, op->service);
        text_char(text, ' ');
        text_str(text, word_at(op_verb_words, op->verb));
    }
    return (op->path ? 1u : 0u) + (op->from ? 1u : 0u);
}

/** Not allowed: why is the reason. */
static bool deny(struct text *why, const char *subject, const struct verdict *v)
{
    if (subject) {
        text_printable(why, subject, strlen(subject));
        text_str(why, ": ");
    }
    verdict_reason(why, v);
    return false;
}

static bool command_allowed(const char *command, const struct op_place *place, struct verdict *v, struct text *why)
{
    const struct policy_case c = {.command = command, .host = place->host, .role = place->role};

    *v = place->guard.judge(place->guard.arg, &c);
    return verdict_begins(v) || deny(why, NULL, v);
}

bool op_path_allowed(const char *path, const struct op_place *place, struct verdict *v, struct text *why)
{
    const struct policy_case c = {.path = path, .host = place->host, .role = place->role};

    if (!place->guard.judge)
        return true;
    *v = place->guard.judge(place->guard.arg, &c);
    return verdict_begins(v) || deny(why, path, v);
}

bool op_allowed(const struct op *op, const struct op_place *place, struct verdict *v, struct text *why)
{
    const char *command, *paths[2];
    char none[1];
    struct text text;
    struct path p;
    bool allowed = true;

    *v = (struct verdict){.kind = VERDICT_ALLOWED};
    if (!place->guard.judge)
        return true;
    text_init(&text, place->work_cap ? place->work : none, place->work_cap ? place->work_cap : sizeof none);
    const unsigned n = op_subject(op, &text, &command, paths);
    if (text.truncated) {
        *v = (struct verdict){.kind = VERDICT_DENIED, .reason = "too long to be judged"};
        return deny(why, NULL, v);
    }
    if (command)
        allowed = command_allowed(command, place, v, why);
    for (unsigned i = 0; allowed && i < n; i++) {
        /* Where it leads nowhere the child will fail. */
        allowed = op_path_allowed(path_resolve(&p, paths[i]) == 0 ? p.text : paths[i], place, v, why);
        path_close(&p);
    }
    return allowed;
}

/* ---- how it is done ---- */

static void fill_environment(const struct op *op, struct op_place *place)
{
    unsigned n = 0;

    place->envp[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (unsigned i = 0; i < op->env_count; i++)
        place->envp[n++] = op->env[i];
    place->envp[n] = NULL;
}

int op_child(const struct op *op, struct op_place *place, struct child_spec *spec, struct text *why)
{
    place->op = op;
    fill_environment(op, place);
    *spec = (struct child_spec){.envp = place->envp, .deadline_ms = op->timeout_ms};
    if (op->kind == OP_ARGV) {
        spec->argv = op->argv;
        return 0;
    }
    if (op->kind == OP_RUN) {
        place->argv[0] = "/bin/sh";
        place->argv[1] = "-c";
        place->argv[2] = op->run;
        place->argv[3] = NULL;
        spec->argv = place->argv;
        return 0;
    }
    if (op->kind == OP_UNDO) {
        text_str(why, "not supported");
        return NEFIA_ENOTSUP;
    }
    spec->run = op_do;
    spec->run_arg = place;
    if (op->kind == OP_SERVICE)
        spec->keep = place->helper;
    spec->unlimited = op->kind == OP_SERVICE && place->helper == 0;
    return 0;
}

bool op_is_service(const char *name)
{
    return *name && name[text_word_span(name, "@:+.-")] == '\0' && *name != '-' && *name != '.' && strlen(name) <= OP_NAME_MAX;
}
