// Maps with the groups of tags that this machine has.
#include "fa/testing_map.hpp"
