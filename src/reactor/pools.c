#include <poll.h>
#include <stddef.h>

#include "nefia/reactor/hub.h"

#define POOL_PROGRAM_HUB
#define POOL_DEFINE
#include "nefia/pool.h"
