// reject: same-shape.*-1, 3, 32, 32>.*-1, 3, 16, 16>|-1, 3, 32, 32>.*-1, 3, 16, 16>.*same-shape
// A model of images of 16 on images of 32.
#include <sfumato/autodiff/count.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Size> using Model = JiT<ImagePatches<Size, 3, 4, 10>, JiTTrunk<64, 2, 1, 1>>;

auto f(Count& ctx, Value<Count, Shape<dynamic, 3, 32, 32>> z, std::span<const double> times, std::span<const int> labels) {
#if defined(SFUMATO_REJECT)
  return Model<16>{}(ctx, z, times, labels);
#else
  return Model<32>{}(ctx, z, times, labels);
#endif
}
