#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "nefia/beacon/instances.h"
#include "nefia/beacon/uplink.h"
#include "nefia/child.h"
#include "nefia/condition.h"
#include "nefia/config.h"
#include "nefia/control.h"
#include "nefia/dedup.h"

#define POOL_PROGRAM_BEACON
#define POOL_DEFINE
#include "nefia/pool.h"
