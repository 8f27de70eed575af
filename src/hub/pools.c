#include <poll.h>
#include <stddef.h>

#include "nefia/hub/hub.h"

#define POOL_PROGRAM_HUB
#define POOL_DEFINE
#include "nefia/base/pool.h"
