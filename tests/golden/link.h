/* Made by tests/fake/link2.py header, checked by tests/docs.py wire: the session in docs/wire.md. */
#define GOLDEN_UP "251b9691d38822740a28b55d2cb1af3c16e200c4f723761373b1e2763d0b553d"
#define GOLDEN_DOWN "844d4f65e110700d09327b26703752180143b3dca567f537a9fec1891f67b9d5"

static const struct {
    bool from_hub;
    const char *line, *sig; /* sig empty: none */
} golden[] = {
    {1, "{\"nefia\":2,\"nonce\":\"0102030405060708090a0b0c0d0e0f10\"}",
     ""},
    {0, "{\"hello\":{\"host_id\":\"r1\",\"nonce\":\"b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0\",\"boot\":7,\"plain\":false,\"features\":[]}}",
     "b88ad39b13ce4f2a6a952cecd621cb1d75176fbb8ef9791b8671d1966c657bf8"},
    {1, "{\"welcome\":{\"starts\":[[6,12,\"a1a2a3a4a5a6a7a8\"]],\"window\":32,\"bytes\":8192,\"features\":[]}}",
     "47b153f5bc7df31e39a933295284dbeb1693037160d5984a7bf6a3674c21014a"},
    {0, "{\"type\":\"door.open\",\"source\":\"emit\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"warning\",\"data\":{},\"seq\":1,\"boot\":7}",
     "1c546e41ae424e6ae9e567f7fb8e8a652cbb2ad5f6b91c91b0a3a6c7525726a4"},
    {0, "{\"unsure\":{}}",
     "ae2d33bb663efaa133d70b1ce077d149ef4425411add1f62269df1cfcf4d171b"},
    {0, "{\"type\":\"door.open\",\"source\":\"emit\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"data\":{},\"seq\":12,\"boot\":6}",
     "a101b03ede3f863def9dcf6e80d9ae6908a8a62c8c1bf296e1cbf9e7dc2644d5"},
    {0, "{\"type\":\"door.open\",\"host_id\":\"r1\"}",
     "d54c3be55d9bae37423e85fe25198edf55d842bc138e6668eabc3c0c5bb07719"},
    {1, "{\"ack\":{\"line\":4},\"window\":32}",
     "ba32d77870047895e0501c7001bb52ad34a44f8d48dc07548b321c6c9ce61cf5"},
    {1, "{\"refused\":{\"line\":5,\"reason\":\"not an event\"},\"window\":32}",
     "f52e3aab5e5e5b55b171954f4921d580ed17d2a5d3bbda674579b834a0520f88"},
    {1, "{\"ack\":{\"line\":5},\"window\":32}",
     "9b04e96dd2536b972f420ffe65b81b93a9b0d4da7d81b56b0f7ea7c35e153618"},
    {1, "{\"error\":{\"reason\":\"another session of this host\"}}",
     "f6c746bc780a852ee185efb605613d2286c7e438a180461f763ecd98eb4b1e02"},
};
