/* What a user of the installed library would write first in C++. */
#include <fa/fa.hpp>

#include <string>
#include <vector>

int main() {
    fa::memory memory;
    fa::pool_ptr<std::string> name = fa::make_pool<std::string>(memory, "framealloc");
    fa::frame_scope frame(memory);
    if (name == nullptr || frame == nullptr)
        return 1;
    std::vector<int, fa::frame_allocator<int>> numbers(frame);
    for (int i = 0; i < 1000; i++)
        numbers.push_back(i);
    return numbers.back() == 999 && *name == "framealloc" ? 0 : 1;
}
