// reject: latent-variance.*latent variance suppression
// Self-distillation whose target sends its gradient back; stopped, averaged and waived ones pass.
#include <sfumato/train/dsd_objective.hpp>

using namespace sfumato;

void f() {
  SelfDistillation<Space::x, Target::stopped>::require_sound();
  SelfDistillation<Space::x, Target::averaged>::require_sound();
#if defined(SFUMATO_REJECT)
  SelfDistillation<Space::x, Target::flowing>::require_sound();
#else
  SelfDistillation<Space::x, Target::flowing, true, Waive<rule::latent_variance>>::require_sound();
#endif
}
