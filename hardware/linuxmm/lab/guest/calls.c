/* Random memory-management system calls, each with its result and the maps afterwards. */
#include "guest.h"

const struct command call_commands[] = { { 0, 0 } };
