// reject: budget-fits.*BudgetFits<0, 1>|BudgetFits<0, 1>.*budget-fits
// A budget that none of the models fits.
#include <sfumato/design/budget.hpp>
#include <sfumato/models/jit.hpp>

using namespace sfumato;

template <int Width, int Patch, class... Options> using Model = JiT<ImagePatches<16, 3, Patch, 10>, Transformer<Width, 2, RMSNorm, SwiGLU, AdaLNZero>, Head<Linear>, Options...>;

#if defined(SFUMATO_REJECT)
using Choice = largest_under<Budget{.parameters = 1'000}, Model<32, 4>>;
#else
using Choice = largest_under<Budget{.parameters = 1'000'000}, Model<32, 4>>;
#endif
static_assert(Choice::width == 32);
