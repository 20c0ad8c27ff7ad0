// Plain C++ for every other processor. Sums of products of bytes are exact in a float up to 1,040
// dimensions, and right to 2^-24 beyond.
#include "packed_nodes.hpp"

#include <string.h>

namespace {

constexpr int LANES = 4;
constexpr int ROWS_AT_ONCE = 6;
constexpr float BIAS = 0;
typedef float Element;
typedef float Sums __attribute__((vector_size(16)));

inline Element element(int8_t value) { return value; }

inline int place(int lane, int byte) { return byte * LANES + lane; }

inline Sums add_products(Sums totals, const Element* lanes, const uint8_t* four) {
    for (int byte = 0; byte < 4; byte++) {
        Sums column;
        memcpy(&column, lanes + byte * LANES, sizeof column);
        totals += column * (float)(int8_t)four[byte];
    }
    return totals;
}

}  // namespace

#include "scorer.hpp"

bool sightline::score_portable(const Request& request) { return score_all(request); }
