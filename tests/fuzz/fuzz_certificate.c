/* Arbitrary bytes as a certificate (DER), in base64 between the lines of PEM, and as a whole file of PEM: how they are cut
 * into pieces makes no difference, and whatever is found makes an event. */
#include "beacon/sensors/certificate.c"
#include "beacon_fixture.h"

#define MUST(condition) \
    do { \
        if (!(condition)) \
            __builtin_trap(); \
    } while (0)

static int look_at_line(void *arg, const char *line, size_t len)
{
    static struct json_token tokens[64];
    char scratch[EVENT_SCRATCH];
    struct event e;

    (void)arg;
    MUST(event_decode(&e, line, len, tokens, ARRAY_SIZE(tokens), scratch, NULL) == 0);
    MUST(slice_eq(e.type, "cert.rotated"));
    return PIPELINE_ACCEPTED;
}

static void decode_pieces(struct found *f, const uint8_t *bytes, size_t size, size_t piece, bool der)
{
    static uint8_t buf[8192];
    struct decoder d = {.found = f};

    memset(f, 0, sizeof *f);
    if (der)
        begin_certificate(&d);
    for (size_t at = 0; at < size; at += piece) {
        const size_t n = size - at < piece ? size - at : piece;
        memcpy(buf, bytes + at, n);
        if (der)
            take_der(&d, buf, n);
        else
            take_pem(&d, buf, n);
    }
    if (der)
        end_certificate(&d);
}

static void must_be_same(const struct found *a, const struct found *b)
{
    MUST(a->certificates == b->certificates && !a->wrong == !b->wrong && a->other == b->other);
    MUST(a->certificates == 0 || (a->ends == b->ends && a->subject_len == b->subject_len));
    MUST(a->certificates == 0 || memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) == 0);
    MUST(a->certificates == 0 || memcmp(a->subject, b->subject, a->subject_len) == 0);
}

/** The same in pieces of several sizes, and as an event. */
static struct found found_in(const uint8_t *bytes, size_t size, bool der)
{
    static const size_t pieces[] = {8192, 1, 7, 64};
    struct found first, f;
    struct sensor_common common = {.name = "certificate_expiry"};
    struct emitter e = {.owner = &fix.sensor_runner, .class = &sensor_certificate, .common = &common, .output = -1};

    decode_pieces(&first, bytes, size, pieces[0], der);
    for (unsigned i = 1; i < ARRAY_SIZE(pieces); i++) {
        decode_pieces(&f, bytes, size, pieces[i], der);
        must_be_same(&first, &f);
    }
    MUST(first.subject_len <= SUBJECT);
    fix_init();
    fix.pipeline.print = look_at_line;
    struct judged j = {.out = &e, .path = "/a", .decoded = true, .found = first};
    const struct thresholds never = {.warning = INT64_MIN, .critical = INT64_MIN};
    const struct expiry x = {.types = types, .subject = "/a", .limits = &never, .rotated = true};
    MUST(judge_expiry(&e, &x, put, &j));
    return first;
}

/** Return: its length. */
static size_t wrap(const uint8_t *der, size_t size, uint8_t *pem)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct text t;

    text_init(&t, (char *)pem, 16384);
    text_str(&t, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; i < size; i += 3) {
        const unsigned rest = size - i < 3 ? (unsigned)(size - i) : 3;
        const uint32_t bits = (uint32_t)der[i] << 16 | (uint32_t)(rest > 1 ? der[i + 1] : 0) << 8 | (rest > 2 ? der[i + 2] : 0);
        for (unsigned k = 0; k <= rest; k++)
            text_char(&t, digits[bits >> (18 - 6 * k) & 63]);
        text_str(&t, rest == 1 ? "==" : rest == 2 ? "=" : "");
        if (i % 48 == 45)
            text_char(&t, '\n');
    }
    text_str(&t, "\n-----END CERTIFICATE-----\n");
    MUST(!t.truncated);
    return t.len;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static uint8_t pem[16384];

    size = size < 8192 ? size : 8192;
    found_in(data, size, false);
    const struct found f = found_in(data, size, true);
    struct found g = found_in(pem, wrap(data, size, pem), false);
    MUST(g.other);
    g.other = f.other;
    must_be_same(&f, &g);
    return 0;
}
