#include <bearssl_hash.h>
#include <bearssl_x509.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nefia/base/bytes.h"
#include "nefia/base/err.h"
#include "nefia/base/wipe.h"
#include "nefia/beacon/sensor.h"
#include "nefia/sys/dir.h"
#include "nefia/sys/file.h"

/* certificate_expiry: X.509 certificates in files and directories. BearSSL decodes them, as they are read; a file is read again
 * only when stat(2) shows another one, or for an event's data. The certificate of a file that ends first counts, its first
 * one is what the file is. */
enum {
    PATHS = 8,
    NAMES = 4096,      /* looked at in a directory */
    MOST = 1024 * 1024, /* bytes of a file: all authorities that browsers trust are a quarter of it */
    SUBJECT = 64,      /* bytes of a name (ub-common-name) */
    UNIX_DAY = 719528, /* 1970-01-01, counted from year 0 as BearSSL does */
    DAY_S = 24 * 3600,
    PRINT = 0x7FFF,
    OTHER = 11, WITHIN = 27, NOT = 255, /* of `matched` */
};

/** What is remembered of a file. */
struct known {
    uint32_t path; /* hash; 0: free */
    uint32_t ends; /* seconds since 1970; 0: never decoded; NEVER: after 2106, or there is no certificate in it */
    unsigned print : 15;       /* of stat(2); 0: to be decoded */
    unsigned seen : 1;         /* at this look */
    unsigned fingerprint : 16; /* beginning of it */
};
#define NEVER UINT32_MAX

struct certificates {
    struct sensor_common common;
    struct thresholds limits; /* ms */
    const char *paths[PATHS];
    unsigned count;
    struct known files[CONFIG_CERTIFICATE_FILES];
};

static const char types[] = "cert.expiring" "\0" "cert.expired" "\0" "cert.rotated" "\0";

static const struct field_list path_list = {.count = offsetof(struct certificates, count), .cap = PATHS};

static const struct field certificate_fields[] = {
    THRESHOLD_FIELDS(struct certificates, limits, "", FIELD_DURATION, 0, -1, "14d", "24h", "0"),
    {FIELD_REQUIRED("paths", "files and directories"), .type = FIELD_LIST, FIELD_AT(struct certificates, paths), .min = 1,
     .list = &path_list},
    {.name = NULL},
};

static int certificate_start(void *state, struct emitter *self, void *before)
{
    struct certificates *s = state;
    const struct certificates *old = before;

    (void)self;
    if (old)
        memcpy(s->files, old->files, sizeof s->files);
    return 0;
}

/* ---- what is in a file ---- */

/** Of the certificate that ends first, but for the fingerprint, which is the first one's. */
struct found {
    const char *wrong; /* null: nothing; there may be certificates nevertheless */
    int error;         /* errno, or 0 */
    unsigned certificates;
    bool other; /* there is PEM of another kind, such as a private key */
    int64_t ends;
    uint8_t fingerprint[br_sha256_SIZE];
    char subject[SUBJECT];
    uint8_t subject_len;
};

struct decoder {
    struct found *found;
    br_x509_decoder_context x509;
    br_sha256_context sha;
    uint32_t head, len; /* of the certificate: its first four bytes; bytes so far */
    uint32_t bits;      /* of base64, that are no byte yet */
    uint64_t last;      /* bytes of the subject */
    uint8_t bit_count, matched; /* characters of the line that begins a certificate; NOT: it is another line */
    uint8_t subject_len, subject_left;
    char subject[SUBJECT];
};

/** The DER of the subject, in pieces. Keeps the value of its last commonName (2.5.4.3), whatever kind of string it is. */
static void take_subject(void *arg, const void *bytes, size_t len)
{
    struct decoder *d = arg;

    for (const uint8_t *at = bytes; len > 0; at++, len--) {
        d->last = d->last << 8 | *at;
        if (d->subject_left) {
            d->subject_left--;
            if (d->subject_len < SUBJECT)
                d->subject[d->subject_len++] = (char)*at;
        } else if ((d->last >> 16 & UINT64_C(0xFFFFFFFFFF)) == UINT64_C(0x0603550403) && *at < 0x80) {
            d->subject_left = *at;
            d->subject_len = 0;
        }
    }
}

static void begin_certificate(struct decoder *d)
{
    d->len = d->bit_count = d->subject_len = d->subject_left = 0;
    d->last = 0;
    br_x509_decoder_init(&d->x509, take_subject, d);
    br_sha256_init(&d->sha);
}

static void take_der(struct decoder *d, const uint8_t *der, size_t len)
{
    for (size_t i = 0; i < len && d->len + i < 4; i++)
        d->head = d->head << 8 | der[i];
    d->len += (uint32_t)len;
    if (d->x509.err == 0) /* after a mistake it would go on behind it */
        br_x509_decoder_push(&d->x509, der, len);
    br_sha256_update(&d->sha, der, len);
}

/** BearSSL stops at keys that it cannot use, such as Ed25519's; what is of interest stands before them. */
static bool is_whole(struct decoder *d)
{
    const uint32_t len = d->head >> 16 == 0x3082 ? (d->head & 0xFFFF) + 4 : (d->head >> 8 & 0xFF) + 3;
    const int err = br_x509_decoder_last_error(&d->x509);

    return err == 0 || (err == BR_ERR_X509_UNSUPPORTED && d->x509.notafter_days && d->len == len);
}

static const char not_whole[] = "not a whole certificate";

static void end_certificate(struct decoder *d)
{
    struct found *f = d->found;
    const int64_t ends = ((int64_t)d->x509.notafter_days - UNIX_DAY) * DAY_S + d->x509.notafter_seconds;

    if (!is_whole(d)) {
        f->wrong = not_whole;
        return;
    }
    if (f->certificates++ == 0)
        br_sha256_out(&d->sha, f->fingerprint);
    else if (ends >= f->ends)
        return;
    f->ends = ends;
    memcpy(f->subject, d->subject, SUBJECT);
    f->subject_len = d->subject_len;
}

/** Return: 0 to 63, or 64: no digit of base64. */
static unsigned base64_digit(uint8_t c)
{
    const uint8_t letter = (uint8_t)((c | 0x20) - 'a');

    if (letter < 26)
        return letter + (c & 0x20 ? 26u : 0);
    if (c >= '0' && c <= '9')
        return c - '0' + 52u;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/** Decodes in place; what is not a certificate is passed over. */
static void take_pem(struct decoder *d, uint8_t *pem, size_t len)
{
    static const char begin[WITHIN + 1] = "-----BEGIN CERTIFICATE-----";
    uint8_t *der = pem;

    for (size_t i = 0; i < len; i++) {
        const uint8_t c = pem[i];
        const unsigned digit = base64_digit(c);
        if (d->matched != WITHIN) {
            d->matched = c == '\n' ? 0 : d->matched < WITHIN && c == (uint8_t)begin[d->matched] ? d->matched + 1 : NOT;
            d->found->other |= d->matched == OTHER;
            if (d->matched == WITHIN)
                begin_certificate(d);
        } else if (c == '-') {
            take_der(d, pem, (size_t)(der - pem));
            der = pem;
            end_certificate(d);
            d->matched = NOT;
        } else if (digit < 64) {
            d->bits = d->bits << 6 | digit;
            d->bit_count += 6;
            if (d->bit_count >= 8) {
                d->bit_count -= 8;
                *der++ = (uint8_t)(d->bits >> d->bit_count);
            }
        }
    }
    if (der > pem)
        take_der(d, pem, (size_t)(der - pem));
}

static void decode(struct emitter *out, const char *path, struct found *f)
{
    struct decoder d = {.found = f};
    size_t cap, total = 0;
    uint8_t *buf = (uint8_t *)emitter_buffer(out, &cap);
    int fd = file_open_regular(path, 0);
    bool der = false;
    long n;

    memset(f, 0, sizeof *f);
    do {
        n = fd < 0 ? -1 : file_fill(fd, buf, cap);
        if (total == 0 && n > 1 && buf[0] == 0x30 && (buf[1] & 0xFC) == 0x80) {
            der = true;
            begin_certificate(&d);
        }
        if (n < 0)
            f->error = errno;
        else if (der)
            take_der(&d, buf, (size_t)n);
        else
            take_pem(&d, buf, (size_t)n);
        total += cap;
        wipe(buf, n < 0 ? 0 : (size_t)n); /* there may have been a private key */
    } while (n == (long)cap && total < MOST);
    if (fd >= 0)
        close(fd);
    if (n == (long)cap)
        f->wrong = "longer than 1 MiB";
    else if (der)
        end_certificate(&d);
    else if (d.matched == WITHIN)
        f->wrong = not_whole;
    wipe(&d, sizeof d); /* or there was one in DER */
}

/* ---- judging ---- */

/** Return: null: there are too many. */
static struct known *place_of(struct certificates *s, const char *path)
{
    const uint32_t hash = hash_bytes(HASH_START, path, strlen(path)) | 1;
    struct known *unused = NULL;

    for (unsigned i = 0; i < CONFIG_CERTIFICATE_FILES; i++) {
        struct known *k = &s->files[i];
        if (k->path == hash)
            return k;
        if (!k->path)
            unused = k;
    }
    if (unused)
        *unused = (struct known){.path = hash};
    return unused;
}

/** A file that is being judged. */
struct judged {
    struct emitter *out;
    const char *path;
    int64_t end_s; /* if it is not decoded */
    bool decoded;
    struct found found;
};

static int64_t put(void *arg, struct json_writer *w)
{
    struct judged *j = arg;
    struct found *f = &j->found;

    if (!j->decoded)
        decode(j->out, j->path, f);
    j->decoded = true;
    json_put_string(w, "path", j->path);
    json_put_bytes(w, "subject", f->subject, f->subject_len);
    json_put_hex(w, "fingerprint", f->fingerprint, br_sha256_SIZE);
    return f->certificates ? f->ends : j->end_s; /* it may be another one since a moment ago */
}

/** The file is another one than before, or could not be read well then. listed: it is one of a directory, in which there may
 * be keys. Return: is there a certificate in it? */
static bool look_inside(struct emitter *out, struct known *k, const char *path, bool listed, struct found *f)
{
    decode(out, path, f);
    if (f->certificates == 0 && !f->wrong && !(listed && f->other))
        f->wrong = "no certificate";
    if (f->wrong || f->error)
        emitter_not_measured(out, path, f->error ? ERRNO(f->error) : f->wrong);
    if (f->wrong || f->error)
        k->print = 0; /* it says so again at the next look */
    k->fingerprint = get_be16(f->fingerprint);
    k->ends = f->ends >= NEVER || !f->certificates ? NEVER : f->ends > 0 ? (uint32_t)f->ends : 1;
    return f->certificates > 0;
}

static void judge(struct expiry *x, struct emitter *out, struct known *k, unsigned print, bool listed)
{
    struct judged j = {.out = out, .path = x->subject, .decoded = k->print != print};
    struct known new = *k;

    new.print = print & PRINT;
    k->print = 0; /* until all of it is reported */
    if (j.decoded && !look_inside(out, &new, x->subject, listed, &j.found)) {
        if (new.print)
            *k = new;
        return;
    }
    x->end_s = j.end_s = new.ends;
    x->rotated = k->ends && (k->ends != new.ends || k->fingerprint != new.fingerprint);
    if (judge_expiry(out, x, put, &j))
        *k = new;
}

/** error: why it could not be looked at as a directory, or 0. */
static void look(struct certificates *s, struct emitter *out, struct expiry *x, const char *path, int error)
{
    struct known *k = place_of(s, path);
    const bool listed = error == 0;
    struct stat v;
    uint32_t print;

    if (!k) {
        emitter_not_measured(out, path, HINTED("too many files", " (CONFIG_CERTIFICATE_FILES)"));
        return;
    }
    k->seen = true;
    error = listed || error == ENOTDIR ? stat(path, &v) < 0 ? errno : 0 : error;
    if (error)
        emitter_not_measured(out, path, ERRNO(error));
    else if (!S_ISREG(v.st_mode) && !S_ISDIR(v.st_mode))
        emitter_not_measured(out, path, "not a regular file");
    else if (S_ISREG(v.st_mode)) {
        print = file_print(&v);
        x->subject = path;
        judge(x, out, k, ((print >> 16 ^ print) & PRINT) | 1, listed);
        x->subject = NULL; /* it is the caller's */
    }
}

static bool is_named_so(const char *name)
{
    static const char suffixes[] = ".pem\0.crt\0.cer\0.der\0";
    const size_t len = strlen(name);

    return len > 4 && word_index(suffixes, (struct slice){name + len - 4, 4}) >= 0;
}

static void look_into(struct certificates *s, struct emitter *out, struct expiry *x, const char *path)
{
    char file[FILE_PATH_MAX];
    struct dir d;
    const char *name;

    if (dir_open(&d, path) < 0) {
        look(s, out, x, path, errno);
        return;
    }
    for (unsigned n = 0; (name = dir_next(&d)); n++) {
        if (n == NAMES) {
            emitter_not_measured(out, path, "too many names");
            dir_close(&d);
            break;
        }
        if (!is_named_so(name))
            continue;
        if (file_join(file, path, name) == 0)
            look(s, out, x, file, 0);
        else
            emitter_not_measured(out, path, err_text(NEFIA_ETOOBIG));
    }
}

static int certificate_poll(void *state, struct emitter *out, uint64_t now_ms)
{
    struct certificates *s = state;
    struct expiry x = {.types = types, .limits = &s->limits};

    (void)now_ms;
    if (!expiry_now(out, &x.now_s))
        return 0;
    expiry_turn_over(out, types, EXPIRY_NEEDED, EXPIRY_OLD);
    for (unsigned i = 0; i < s->count; i++)
        look_into(s, out, &x, s->paths[i]);
    expiry_turn_over(out, types, EXPIRY_OLD, EXPIRY_GONE);
    for (unsigned i = 0; i < CONFIG_CERTIFICATE_FILES; i++) {
        if (!s->files[i].seen)
            s->files[i].path = 0;
        s->files[i].seen = false;
    }
    return 0;
}

const struct sensor_class sensor_certificate = {
    SENSOR_NAME("certificate_expiry", "1h"),
    .limits = 1,
    .low_is_bad = true,
    .fields = certificate_fields,
    .state_size = sizeof(struct certificates),
    .start = certificate_start,
    .poll = certificate_poll,
};
