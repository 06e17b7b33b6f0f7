// reject: detached-velocity.*failure of rank differentiation
// A velocity head whose gradient reaches trunk and latents.
#include <sfumato/train/dsd_objective.hpp>

using namespace sfumato;

void f() {
  SelfDistillation<Space::x, Target::averaged, true>::require_sound();
#if defined(SFUMATO_REJECT)
  SelfDistillation<Space::x, Target::averaged, false>::require_sound();
#else
  SelfDistillation<Space::x, Target::averaged, false, Waive<rule::detached_velocity>>::require_sound();
#endif
}
