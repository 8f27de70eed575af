#include <stdio.h>

#include "beacon_fixture.h"
#include "check.h"
#include "samples.h"

/* What the other sensors find comes from the test; they never run. */
#define PROJECT(more)                                                                                            \
    "{\"beacons\": {\"project_slo\": [{\"name\": \"shop\"" more "}], \"reach\": [{\"name\": \"gw\", \"tcp\": \"127.0.0.1:9\"}], " \
    "\"slo_violation\": [{\"name\": \"up\", \"reach\": \"gw\", \"target\": 99}, {\"name\": \"down\", \"reach\": \"gw\", \"target\": 99}], " \
    "\"process\": [{\"name\": \"web\"}, {\"name\": \"worker\"}], \"data_budget\": {\"interface\": \"wwan0\", \"allowance_mb\": 9}}}"

static void found(const char *class, const char *name, uint32_t value)
{
    sensor_sample(named(class, name), true, value);
}

static enum instance_result judge(void)
{
    struct emitter *e = named("project_slo", "shop");

    if (!e)
        return INSTANCE_FAILED;
    fix.count = 0;
    sensor_runner_run(e);
    return e->result;
}

TEST(the_first_objective_that_is_violated)
{
    begin(PROJECT(", \"objectives\": [\"down\", \"up\"]"));
    CHECK_INT(judge(), INSTANCE_NOT_MEASURED);
    CHECK_STR(named("project_slo", "shop")->why, "down: no result yet");
    found("slo_violation", "up", GRADE_NONE);
    CHECK_INT(judge(), INSTANCE_NOT_MEASURED);
    found("slo_violation", "down", GRADE_NONE);
    CHECK_INT(judge(), INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    found("slo_violation", "up", GRADE_CRITICAL);
    judge();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"project.slo_violation\",\"source\":\"project-beacon\""));
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"critical\",\"project\":\"shop\",\"objective\":\"up\",\"failing\":1}"));
    found("slo_violation", "down", GRADE_MEDIUM);
    judge();
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\",\"project\":\"shop\",\"objective\":\"down\",\"failing\":2}"));
    sensor_runner_run(named("slo_violation", "down")); /* too few results */
    CHECK_INT(judge(), INSTANCE_NOT_MEASURED);
    CHECK(fix_has(0, "\"objective\":\"up\",\"failing\":1}"));
    found("slo_violation", "up", GRADE_NONE);
    CHECK_INT(judge(), INSTANCE_NOT_MEASURED);
    CHECK_INT(fix.count, 0); /* it may be violated still */
    found("slo_violation", "down", GRADE_NONE);
    judge();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\",\"project\":\"shop\",\"failing\":0}"));
    end();
}

TEST(replicas)
{
    begin(PROJECT(", \"replicas\": {\"web\": 2, \"worker\": 3}"));
    CHECK_INT(judge(), INSTANCE_NOT_MEASURED);
    found("process", "web", 2);
    found("process", "worker", 3);
    CHECK_INT(judge(), INSTANCE_OK);
    CHECK_INT(fix.count, 0);
    found("process", "worker", 4);
    judge();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"project.drift\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"level\":\"medium\",\"project\":\"shop\",\"process\":\"worker\",\"expected\":3,\"running\":4,\"failing\":1}"));
    found("process", "web", 0);
    judge();
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"level\":\"high\",\"project\":\"shop\",\"process\":\"web\",\"expected\":2,\"running\":0,\"failing\":2}"));
    reload(PROJECT(", \"replicas\": {\"worker\": 4, \"web\": 0}")); /* what was found is known still */
    judge();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"data\":{\"state\":\"recovered\",\"project\":\"shop\",\"failing\":0}"));
    end();
}

TEST(costs)
{
    begin(PROJECT(", \"cost_ceiling\": 2000, \"price_per_gb\": 150.5"));
    CHECK_INT(judge(), INSTANCE_NOT_MEASURED);
    CHECK_STR(named("project_slo", "shop")->why, "data_budget: no result yet");
    found("data_budget", "data_budget", 13295); /* 2000.8975 cents */
    judge();
    CHECK_INT(fix.count, 0);
    found("data_budget", "data_budget", 13296); /* 2001.048 */
    judge();
    REQUIRE(fix.count == 1);
    CHECK(fix_has(0, "\"type\":\"project.cost_breach\""));
    CHECK(fix_has(0, "\"severity\":\"warning\",\"data\":{\"project\":\"shop\",\"cost_cents\":2001,\"ceiling_cents\":2000,\"used_mb\":13296}"));
    found("data_budget", "data_budget", 26579);
    judge();
    CHECK(fix_has(0, "\"severity\":\"critical\",\"data\":{\"project\":\"shop\",\"cost_cents\":4000,"));
    found("data_budget", "data_budget", 0);
    judge();
    CHECK(fix_has(0, "\"severity\":\"info\",\"data\":{\"state\":\"recovered\""));
    reload(PROJECT(", \"cost_ceiling\": 100000000, \"price_per_gb\": 100000"));
    found("data_budget", "data_budget", UINT32_MAX - 1);
    judge();
    CHECK(fix_has(0, "\"cost_cents\":429496729400,"));
    end();
}

TEST(refused)
{
    fix_refused(PROJECT(", \"objectives\": [\"fast\"]"), "beacons.project_slo[0]: needs beacons.slo_violation with an item named fast");
    fix_refused(PROJECT(", \"replicas\": {\"nginx\": 1}"), "beacons.project_slo[0].replicas: needs beacons.process with an item named nginx");
    fix_refused(PROJECT(", \"replicas\": {\"web\": -1}"), "beacons.project_slo[0].replicas.web: \"-1\" is not within 0..100000");
    fix_refused(PROJECT(", \"replicas\": {\"web\": []}"), "replicas.web: ");
    fix_refused(PROJECT(", \"replicas\": {\"a\": 1, \"b\": 1, \"c\": 1, \"d\": 1, \"e\": 1, \"f\": 1, \"g\": 1, \"h\": 1, \"i\": 1}"),
                "too many processes; raise CONFIG_PROJECT_ITEMS");
    fix_refused(PROJECT(""), "give objectives, replicas or cost_ceiling");
    fix_refused(PROJECT(", \"cost_ceiling\": 1"), "cost_ceiling and price_per_gb belong together");
    fix_refused("{\"beacons\": {\"project_slo\": [{\"name\": \"shop\", \"cost_ceiling\": 1, \"price_per_gb\": 1}]}}",
                "needs beacons.data_budget");
}

TEST_MAIN(the_first_objective_that_is_violated, replicas, costs, refused)
