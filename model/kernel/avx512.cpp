// 16 lanes, and products of bytes in one instruction (VNNI). Compiled with flags of its own.
#include "packed_nodes.hpp"

#if defined(__AVX512VNNI__)

#include <immintrin.h>
#include <string.h>

namespace {

constexpr int LANES = 16;
constexpr int ROWS_AT_ONCE = 6;
// The instruction multiplies unsigned by signed bytes: those in lanes are moved up by 128, and
// 128 times the sum of the row is taken off again.
constexpr int BIAS = 128;
typedef uint8_t Element;
typedef int32_t Sums __attribute__((vector_size(64)));

inline Element element(int8_t value) { return (uint8_t)value ^ 0x80; }

inline int place(int lane, int byte) { return lane * 4 + byte; }

inline Sums add_products(Sums totals, const Element* lanes, const uint8_t* four) {
    int32_t repeated;
    memcpy(&repeated, four, sizeof repeated);
    return (Sums)_mm512_dpbusd_epi32(
        (__m512i)totals, _mm512_loadu_si512(lanes), _mm512_set1_epi32(repeated));
}

}  // namespace

#include "scorer.hpp"

bool sightline::score_avx512(const Request& request) { return score_all(request); }

#endif
