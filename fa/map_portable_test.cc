// The same maps as on a machine without SSE2.
#define FAI_MAP_PORTABLE
#include "fa/testing_map.hpp"
