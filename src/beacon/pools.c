#include <poll.h>

#include "nefia/beacon/beacon.h"

#define POOL_PROGRAM_BEACON
#define POOL_DEFINE
#include "nefia/base/pool.h"
