// reject: rank-differentiation.*failure of rank differentiation
// An encoder trained through the prediction of noise.
#include <sfumato/train/dsd_objective.hpp>

using namespace sfumato;

void f() {
  SelfDistillation<Space::x, Target::averaged>::require_sound();
#if defined(SFUMATO_REJECT)
  SelfDistillation<Space::eps, Target::averaged>::require_sound();
#else
  SelfDistillation<Space::eps, Target::averaged, true, Waive<rule::rank_differentiation>>::require_sound();
#endif
}
