#include "os/thread_team.h"
