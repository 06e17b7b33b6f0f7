// reject: rank-differentiation.*failure of rank differentiation
// An encoder trained through the prediction of velocities; noise is refused alike, clean latents and waived ones pass.
#include <sfumato/train/dsd_objective.hpp>

using namespace sfumato;

void f() {
  SelfDistillation<Space::eps, Target::averaged, true, Waive<rule::rank_differentiation>>::require_sound();
#if defined(SFUMATO_REJECT)
  SelfDistillation<Space::v, Target::averaged>::require_sound();
#else
  SelfDistillation<Space::v, Target::averaged, true, Waive<rule::rank_differentiation>>::require_sound();
#endif
}
