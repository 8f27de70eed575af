/* Made by tests/fake/link2.py export-header, checked by tests/docs.py wire: the export in docs/wire.md. */
#define GOLDEN_EXPORT_KEY "0123456789abcdef0123456789abcdef"
#define GOLDEN_EXPORT_HOST "r1"
#define GOLDEN_EXPORT_TIME "2026-03-10T15:31:00Z"
#define GOLDEN_EXPORT_FIRST "#nefia-export begin 1 2026-03-10T15:31:00Z r1"

static const struct {
    uint64_t mark;
    const char *line, *signature;
} golden_export[] = {
    {UINT64_C(0x0000000000000000), "{\"type\":\"door.open\",\"source\":\"emit\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"warning\",\"data\":{},\"seq\":1,\"boot\":7}",
     "#nefia-export 0000000000000000 c44de3580017465fca261c19861b171caf281aec1bd77b4018c09337498f475e"},
    {UINT64_C(0xa1a2a3a4a5a6a7a8), "{\"type\":\"door.open\",\"source\":\"emit\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"data\":{},\"seq\":12,\"boot\":6}",
     "#nefia-export a1a2a3a4a5a6a7a8 c299d1aa4b05553544f66a183f356bdb9efa3b7d54fe9300c5fee7a8a26fb9d0"},
    {UINT64_C(0x0000000000000000), "{\"exported\":2,\"host_id\":\"r1\",\"time\":\"2026-03-10T15:31:00Z\"}",
     "#nefia-export 0000000000000000 67925f776aaaadbca258dcc6e23fe574e37e8cbfa80e608d1c0a18e26b1cfdca"},
};
