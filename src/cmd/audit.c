#include "nefia/cmd/reactor.h"
