/* Made by tests/fake/link2.py header, checked by tests/docs.py wire: the session in docs/wire.md. */
#define GOLDEN_UP "0a7f92f4d08395896051f1e6d83910e8b03edc963e989b801c59f9a9fb612280"
#define GOLDEN_DOWN "b6beb293f1ab400b9293da12e729b27f41b3e7c0046181c8c76e3c6dce6ff2f4"

static const struct {
    bool from_hub;
    const char *line, *sig; /* sig empty: none */
} golden[] = {
    {1, "{\"nefia\":2,\"nonce\":\"0102030405060708090a0b0c0d0e0f10\"}",
     ""},
    {0, "{\"hello\":{\"host_id\":\"r1\",\"nonce\":\"b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0\",\"boot\":7,\"plain\":false,\"features\":[\"exec\"]}}",
     "0886828b1e9e6a597830e74e70fa312192207e751526f592ad07c335c09207ad"},
    {1, "{\"welcome\":{\"starts\":[[6,12,\"a1a2a3a4a5a6a7a8\"]],\"window\":32,\"bytes\":8192,\"features\":[\"exec\"]}}",
     "ba2f251b5467758960fd7c166bc3e9829d0993e82ae69c433fd1298fbd9e771d"},
    {0, "{\"type\":\"door.open\",\"source\":\"emit\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"warning\",\"data\":{},\"seq\":1,\"boot\":7}",
     "4ba92e889e2b9e1e016f307f0647ac7aa52f128524cc87476651cd018e2c04b8"},
    {0, "{\"unsure\":{}}",
     "21fc6e85b307c3967e974cbb971bf3350137309d61784caecddd7f5430d69bc4"},
    {0, "{\"type\":\"door.open\",\"source\":\"emit\",\"host_id\":\"r1\",\"timestamp\":\"2026-03-10T15:30:00Z\",\"severity\":\"info\",\"data\":{},\"seq\":12,\"boot\":6}",
     "f374555383ae99857e0423c329bced0830079e9c012e498a4488ce1b0b223ef3"},
    {0, "{\"type\":\"door.open\",\"host_id\":\"r1\"}",
     "16edb3f7e0215636e3d6b5c381c098cf0bdfd943f486226ffb930e5e05490a47"},
    {1, "{\"ack\":{\"line\":4},\"window\":32}",
     "0af753edfcd03f98c047ec000f1245e8414f5d378aeaacdc956f29cbfa1893c4"},
    {1, "{\"refused\":{\"line\":5,\"reason\":\"not an event\"},\"window\":32}",
     "098e81f6d2a9023b76dc7e4000b50b57c715668bd9d4249feaa102b05892de51"},
    {1, "{\"ack\":{\"line\":5},\"window\":32}",
     "046e8b5f39e3024bfa01570425752235072255c60505bebff9d76e3e4ee81b60"},
    {1, "{\"command\":{\"id\":\"0123456789abcdef\",\"first\":7,\"age_ms\":1200,\"life_ms\":30000,\"op\":{\"argv\":[\"/bin/echo\",\"hi\"],\"timeout_ms\":30000},\"cause\":[\"door\"]}}",
     "05903df891d748fd271ea9a93d4c47e203781b72ca5a98ac831c0c42e8fcf08f"},
    {0, "{\"result\":{\"id\":\"0123456789abcdef\",\"state\":\"done\",\"exit\":0,\"ms\":2,\"bytes\":3,\"output\":\"hi\\n\"}}",
     "968d18ad2f4eecf9e3907da9e171b178106fb7e5741104c2d5dbd80bb42388b5"},
    {1, "{\"ack\":{\"line\":6},\"window\":32}",
     "d36d472d9e6b3dcd31cb6e38f48c236fc9ea4649be74d50584bed1196363ba37"},
    {1, "{\"error\":{\"reason\":\"another session of this host\"}}",
     "874f168e2440108c9c727b050554831ffcd8bdd18830527d5eca114239e81d96"},
};
