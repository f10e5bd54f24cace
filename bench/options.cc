#include "bench/runner.hpp"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace bench {
namespace {

int number(const std::string &name, const char *text) {
    char *end = nullptr;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > 1000000)
        throw std::runtime_error("--" + name + "=" + text + ": a number from 0 to 1000000");
    return static_cast<int>(value);
}

Touch touch_of(const std::string &text) {
    if (text == "none")
        return Touch::none;
    if (text == "page")
        return Touch::page;
    if (text == "line")
        return Touch::line;
    throw std::runtime_error("--touch=" + text + ": one of none, page, line");
}

void set_option(Options &options, const std::string &name, const char *value) {
    if (name == "mode")
        options.mode = value;
    else if (name == "scenario")
        options.scenario = value;
    else if (name == "backend")
        options.backend = value;
    else if (name == "trace-file")
        options.trace_file = value;
    else if (name == "data-dir")
        options.data_dir = value;
    else if (name == "samples")
        options.samples = value;
    else if (name == "size")
        options.size = number(name, value);
    else if (name == "frames")
        options.frames = number(name, value);
    else if (name == "warmup")
        options.warmup = number(name, value);
    else if (name == "passes")
        options.passes = number(name, value);
    else if (name == "smoke")
        options.smoke = number(name, value) != 0;
    else if (name == "touch")
        options.touch = touch_of(value);
    else
        throw std::runtime_error("unknown option --" + name +
                                 "; valid: mode scenario backend trace-file data-dir samples "
                                 "size frames warmup passes smoke touch, and --benchmark_...");
}

} // namespace

Options parse_options(int &argc, char **argv) {
    Options options;
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *equals = strchr(name, '=');
        if (strncmp(argv[i], "--benchmark_", 12) == 0)
            argv[kept++] = argv[i];
        else if (strncmp(argv[i], "--", 2) == 0 && equals != nullptr)
            set_option(options, std::string(name + 2, equals), equals + 1);
        else
            throw std::runtime_error(std::string("bad argument ") + argv[i] + "; use --name=value");
    }
    argv[kept] = nullptr;
    argc = kept;
    return options;
}

} // namespace bench
