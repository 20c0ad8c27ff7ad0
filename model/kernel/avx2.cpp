// 8 lanes for processors without VNNI. Compiled with flags of its own.
#include "packed_nodes.hpp"

#if defined(__AVX2__)

#include <immintrin.h>
#include <string.h>

namespace {

constexpr int LANES = 8;
constexpr int ROWS_AT_ONCE = 6;
constexpr int BIAS = 0;
typedef int8_t Element;
typedef int32_t Sums __attribute__((vector_size(32)));

inline Element element(int8_t value) { return value; }

inline int place(int lane, int byte) { return lane * 4 + byte; }

// The instruction for bytes multiplies unsigned by signed and saturates at 16 bits: |a| times
// b with the sign of a stays within, since no value is below -127.
inline Sums add_products(Sums totals, const Element* lanes, const uint8_t* four) {
    int32_t repeated;
    memcpy(&repeated, four, sizeof repeated);
    const __m256i left = _mm256_loadu_si256((const __m256i*)lanes);
    const __m256i right = _mm256_sign_epi8(_mm256_set1_epi32(repeated), left);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(left), right);
    return totals + (Sums)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

}  // namespace

#include "scorer.hpp"

bool sightline::score_avx2(const Request& request) { return score_all(request); }

#endif
